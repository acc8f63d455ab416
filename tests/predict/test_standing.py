"""Issuing passes over exactly the forecasts that training passes over, without any history."""

import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skyblend.predict.blend.calibrated import Calibrated
from skyblend.predict.blend.columns import History
from skyblend.predict.blend.evidence import Memory
from skyblend.predict.blend.features import SCALE_NAMES, Situations, location_names
from skyblend.predict.blend.levels import NORMAL
from skyblend.predict.blend.linear import Linear, Scaling
from skyblend.predict.blend.model import Model, SelfTest, decode, encode
from skyblend.predict.blend.predict import predict
from skyblend.predict.blend.standing import Standing
from skyblend.predict.train.history import histories, latest_as_of
from skyblend.protos.v1.records_pb2 import Latest, Place
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tables import columns

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAY, US = timedelta(days=1), 1_000_000
DAYS = 70
# Many forecasters, two, and one that has no jury but its own earlier issues.
SPEAK = {"Ulm": ("a", "b", "c", "d"), "Bonn": ("a", "c"), "Jena": ("b",)}
SPELL = range(45, 49)  # days of real cold that all forecasters see


@pytest.fixture(scope="module")
def runtime(tmp_path_factory: pytest.TempPathFactory) -> Runtime:
    """Seventy days of maxima at three places: two runs a day, five days ahead, and stations; one
    value in fifteen is wild."""
    folder = tmp_path_factory.mktemp("standing")
    made, random = runtime_for(Settings.read({"SKYBLEND_DATA": str(folder)})), _random(3)
    told, seen = [], []
    truth = {(p, d): -30.0 * (d in SPELL) + 4 * random.standard_normal() for p in SPEAK
             for d in range(DAYS + 6)}  # fmt: skip
    for (place, day), value in truth.items():
        valid = FIRST + day * DAY
        row = _row(place, value + _wild(random)) | {"source": "s", "kind": "station"}
        seen.append(row | {"observed_at": valid, "known_at": valid, "received_at": valid})
    for half in range(2 * DAYS):
        for place, models in SPEAK.items():
            for model in models:
                told += _run(place, model, FIRST + half * DAY / 2, truth, random)
    _write(made, names.forecasts("raw/a", FIRST.date()), told, columns.forecasts())
    _write(made, names.observations("raw/a", FIRST.date()), seen, columns.observations())
    return made


def test_issuing_skips_what_training_skips(runtime: Runtime) -> None:
    random, skipped = _random(100), 0
    for hour in random.uniform(25 * 24, DAYS * 24, 20).tolist():
        at = FIRST + timedelta(hours=hour)
        history = as_of(runtime, at)
        model = model_of(history, at)
        for place in history.places:
            expected = believed_in_training(history, place, at)
            skipped += sum(len(rows) - sum(rows) for rows in expected.values())
            latest = latest_as_of(runtime.tables, place, at)
            assert spoken(model, latest, place, at) == _counts(expected), (at, place)
    assert skipped > 20  # of 20 x 35


def test_the_models_file_carries_it(runtime: Runtime) -> None:
    at = FIRST + 60.3 * DAY
    history = as_of(runtime, at)
    model = model_of(history, at)
    cycle, values = np.array([_us(at)]), np.ones((1, len(model.forecasters)))
    asked = Situations(cycle, cycle + US, history.position[:1], values, values * _us(at))
    test = SelfTest("Bonn", asked, model.predict("Bonn", asked).quantiles)
    content = encode(model, test)
    loaded = decode(content, sha256=hashlib.sha256(content).hexdigest())
    for place in history.places:
        latest = latest_as_of(runtime.tables, place, at)
        assert spoken(loaded, latest, place, at) == spoken(model, latest, place, at)
    assert len(content) < 20_000


def test_a_model_of_before_has_no_limits_and_still_serves(runtime: Runtime) -> None:
    at = FIRST + 60.3 * DAY
    model = replace(model_of(as_of(runtime, at), at), standing=Standing.none())
    latest = latest_as_of(runtime.tables, "Jena", at)
    latest.runs[0].series[0].value[0] = 55.0
    assert len(spoken(model, latest, "Jena", at)) == len(latest.runs[0].series[0].value)


def test_a_run_after_the_training_is_held_to_the_season_and_to_earlier_issues(
    runtime: Runtime,
) -> None:
    at = FIRST + 44.6 * DAY  # the forecaster told of the cold of days 45 to 48 before
    model = model_of(as_of(runtime, at), at)
    latest = latest_as_of(runtime.tables, "Jena", at)
    (run,), later = latest.runs, at + timedelta(hours=6)
    for time in (run.issued_at, run.known_at, run.received_at):
        time.FromDatetime(later)
    cold = [row for row, time in enumerate(run.series[0].valid_at) if _day(time) in SPELL]
    mild = [row for row, time in enumerate(run.series[0].valid_at) if _day(time) not in SPELL]
    for row in cold:
        run.series[0].value[row] = -31.0
    for row in mild:
        run.series[0].value[row] = 41.0  # 20 K above the season, and alone with that
    times = [run.series[0].valid_at[row] for row in cold]
    assert cold
    assert mild
    assert list(spoken(model, latest, "Jena", later)) == times


def as_of(runtime: Runtime, at: datetime) -> History:
    return histories(runtime.tables, ("temperature_2m_max",), as_of=at, places={})[0]


def believed_in_training(history: History, place: str, at: datetime) -> dict[int, list[bool]]:
    """For each time ahead whether training believes each forecaster's newest value."""
    rows, code = history.forecasts, history.places.index(place)
    ahead = np.flatnonzero((rows.place == code) & (rows.valid > _us(at)))
    newest: dict[tuple[int, int], int] = {}
    for row in ahead[np.argsort(rows.issued[ahead], kind="stable")].tolist():
        newest[int(rows.valid[row]) // US, int(rows.forecaster[row])] = row
    found: dict[int, list[bool]] = {}
    for (time, _), row in sorted(newest.items()):
        found.setdefault(time, []).append(not rows.flagged[row])
    return found


def _counts(believed: dict[int, list[bool]]) -> dict[int, int]:
    return {time: sum(rows) for time, rows in believed.items() if any(rows)}


def spoken(model: Model, latest: Latest, place: str, at: datetime) -> dict[int, int]:
    """How many forecasters count for each time ahead when it is issued."""
    blends = predict({model.series.key: model}, latest, place=Place(id=place), now=at)
    return {
        int(time): int(count)
        for blend in blends
        for time, count in zip(blend.valid_at, blend.forecasters, strict=True)
    }


def model_of(history: History, at: datetime) -> Model:
    """The mean of the forecasters with a spread of 1, and what stands at `at`."""
    width, scale = len(location_names(history.forecasters)), len(SCALE_NAMES)
    prior = np.zeros(len(history.forecasters) + 3)
    prior[-1] = 1.0
    linear = Linear(
        Scaling(np.zeros(width), np.zeros(width)),
        Scaling(np.zeros(scale), np.zeros(scale)),
        np.zeros(width),
        np.zeros(scale),
    )
    presence = np.ones(len(history.forecasters))
    return Model(
        model_id="m",
        series=history.series,
        forecasters=history.forecasters,
        places=history.places,
        position=history.position,
        calibrated=Calibrated(history.series, linear, NORMAL, 1e3, presence),
        memory=Memory(history.position, len(prior)),
        prior=prior,
        learnt_to=_us(at),
        state_at=_us(at),
        standing=Standing.of(history.series, history.cases, history.forecasters, at=_us(at)),
    )


def _run(
    place: str,
    model: str,
    issued_at: datetime,
    truth: dict[tuple[str, int], float],
    random: np.random.Generator,
) -> list[dict[str, Any]]:
    first = int((issued_at - FIRST) / DAY) + 1
    known = issued_at + timedelta(hours=int(random.integers(1, 8)))
    head = {"source": "x", "model": model, "member": "", "issued_at": issued_at}
    head |= {"known_at": known, "received_at": known}
    return [
        _row(place, truth[place, day] + random.standard_normal() + _wild(random))
        | head
        | {"valid_at": FIRST + day * DAY}
        for day in range(first, first + 5)
    ]


def _row(place: str, value: float) -> dict[str, Any]:
    shared = {"place_id": place, "period": 86400, "raw": "raw/a", "flags": []}
    return shared | {"temperature_2m_max": round(float(value), 2)}


def _wild(random: np.random.Generator) -> float:
    return float(random.choice([-45.0, -28.0, 0.0, 28.0, 45.0], p=[0.02, 0.02, 0.92, 0.02, 0.02]))


def _random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def _us(at: datetime) -> int:
    return round(at.timestamp() * US)


def _day(seconds: int) -> int:
    return (datetime.fromtimestamp(seconds, UTC) - FIRST).days


def _write(runtime: Runtime, name: str, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), file)
    runtime.storage.write(name, file.getvalue())
