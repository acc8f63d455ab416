"""The gate, the job that publishes, and the backtest, on records of a made-up atmosphere."""

import base64
import csv
import hashlib
import io
import json
from dataclasses import fields, replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.special import stdtr
from skyblend.predict.blend.columns import ForecastColumns, ObservationColumns
from skyblend.predict.blend.model import decode
from skyblend.predict.train.backtest import Holdout, backtest
from skyblend.predict.train.gate import confidence_below_zero, judge, student
from skyblend.predict.train.history import histories, latest_as_of
from skyblend.predict.train.job import told, train
from skyblend.protos.v1.events_pb2 import ModelPromoted
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tables import columns

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, PLACES, SOURCES = 40, 6, ("east", "west")
BIAS = {"east": 2.5, "west": -1.0}
KEY = "temperature_2m_max/86400"


@pytest.fixture
def archive(tmp_path: Path) -> Runtime:
    """Forty days of daily maxima at six places by two sources, known a day ahead, and stations."""
    runtime = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)}))
    random, forecasts, observations = np.random.default_rng(5), [], []
    for day in range(DAYS):
        for place in range(PLACES):
            truth, valid = float(10 + 5 * random.standard_normal()), FIRST + timedelta(days=day)
            for source in SOURCES:
                value = truth + BIAS[source] + float(random.standard_normal())
                forecasts.append(forecast(source, place, valid, value))
            observations.append(observation(place, valid, truth))
    write(runtime, names.forecasts("raw/a", FIRST.date()), forecasts, columns.forecasts())
    write(runtime, names.observations("raw/a", FIRST.date()), observations, columns.observations())
    return runtime


def at_day(day: int, hour: int = 2) -> datetime:
    return FIRST + timedelta(days=day, hours=hour)


def test_a_candidate_better_on_every_day_passes() -> None:
    day, observed = np.repeat(np.arange(5), 20), np.arange(100.0)
    verdict = judge(np.full(100, 0.9), {"mean": (np.ones(100), 0.9)}, day=day, observed=observed)
    assert verdict.passed
    assert verdict.confidence == {"mean": 1.0}


def test_a_candidate_that_wins_on_one_day_only_does_not_pass() -> None:
    day, observed = np.repeat(np.arange(5), 20), np.arange(100.0)
    scores = np.where(day == 0, 0.0, 1.05)
    verdict = judge(scores, {"mean": (np.ones(100), 0.9)}, day=day, observed=observed)
    # Daily differences -1, .05, .05, .05, .05: mean -.16, and one day's weight is all of it.
    assert not verdict.passed
    assert "confidence" in verdict.reason


@pytest.mark.parametrize(
    ("days", "rows", "constant", "words"),
    [
        (2, 100, False, "too few days"),
        (5, 3, False, "too few rows"),
        (5, 20, True, "never change"),
    ],
)
def test_a_degenerate_window_decides_nothing(
    days: int, rows: int, constant: bool, words: str
) -> None:
    day = np.repeat(np.arange(days), rows)
    observed = np.full(len(day), 7.0) if constant else np.arange(len(day)) * 1.0
    rivals = {"mean": (np.ones(len(day)), 0.9)}
    verdict = judge(np.zeros(len(day)), rivals, day=day, observed=observed)
    assert not verdict.passed
    assert words in verdict.reason


def test_equal_scores_promote_nothing() -> None:
    day, scores = np.repeat(np.arange(5), 20), np.ones(100)
    verdict = judge(scores, {"champion": (scores, 0.75)}, day=day, observed=np.arange(100.0))
    assert not verdict.passed
    assert confidence_below_zero(np.zeros(5)) == 0.0


def test_confidence_in_few_days_is_by_hand() -> None:
    # -3, -1, -2: mean -2, squares 1 + 1 + 0 = 2, lag products -1 + 0 < 0, so none.
    # Variance 2 / 3 / (3 - 3 + 2/3) = 1; t = 2 at 2 degrees: 1/2 + 2 / (2 sqrt(2 + 4)) = 0.9082.
    assert confidence_below_zero(np.array([-3.0, -1.0, -2.0])) == pytest.approx(0.9082, abs=1e-4)


@pytest.mark.parametrize("freedom", range(1, 12))
def test_students_distribution_is_that_of_scipy(freedom: int) -> None:
    for t in (-30.0, -2.5, -0.3, 0.0, 1.0, 1.8946, 12.0):
        assert student(t, freedom) == pytest.approx(float(stdtr(freedom, t)), abs=1e-12)


def test_training_publishes_a_model_that_beats_the_mean(archive: Runtime) -> None:
    report = train(archive, at=at_day(30))
    (row,) = report.series
    assert row.promoted, row.reason
    assert row.series == KEY
    # East 2.5 too warm and west 1.0 too cold: the plain mean is 0.75 too warm, spread 0.7.
    assert row.scores["candidate"] < 0.8 * row.scores["mean"]
    champion = json.loads(archive.storage.read(names.CHAMPION).data)["champions"][KEY]
    content = archive.storage.read(names.model(champion["model_id"])).data
    assert decode(content, sha256=champion["sha256"]).forecasters == ("east", "west")
    card = json.loads(archive.storage.read(names.card(champion["model_id"])).data)
    assert card["judged"]["against"] == "station"
    assert card["learnt"]["to"] <= card["judged"]["from"] < card["judged"]["to"]
    skill = json.loads(archive.storage.read("skill.json").data)["series"][KEY]
    assert skill["sources"]["east"]["bias"] == pytest.approx(2.5, abs=0.4)
    assert skill["blend"]["crps"] < skill["mean"]["crps"]
    assert set(skill["places"]) == {f"p{number}" for number in range(PLACES)}


def test_training_again_at_the_same_time_changes_nothing(archive: Runtime) -> None:
    train(archive, at=at_day(30))
    before = archive.storage.read(names.CHAMPION).generation
    waiting = archive.bus.pending()
    assert not train(archive, at=at_day(30)).series[0].promoted
    assert archive.storage.read(names.CHAMPION).generation == before
    assert archive.bus.pending() == waiting


def test_a_later_day_gives_the_champion_new_state_or_a_successor(archive: Runtime) -> None:
    first = train(archive, at=at_day(30)).series[0]
    later = train(archive, at=at_day(31)).series[0]
    assert later.promoted or later.refreshed
    assert later.model_id != first.model_id
    index = json.loads(archive.storage.read(names.CHAMPION).data)
    assert [row["model_id"] for row in index["history"]] == [first.model_id, later.model_id]
    assert index["champions"][KEY]["model_id"] == later.model_id
    row = index["champions"][KEY]
    model = decode(archive.storage.read(names.model(row["model_id"])).data, sha256=row["sha256"])
    season = model.standing.season
    assert (season.first, len(season.low)) == (4, PLACES)  # 1 February is in the fifth week
    assert np.isfinite(season.high[:, 1:, :4]).all()  # weeks with twenty days around them


def test_training_as_of_an_earlier_time_leaves_the_newer_champion(archive: Runtime) -> None:
    newer = train(archive, at=at_day(35)).series[0]
    train(archive, at=at_day(30))
    index = json.loads(archive.storage.read(names.CHAMPION).data)
    assert index["champions"][KEY]["model_id"] == newer.model_id


def test_a_training_reads_no_more_days_than_it_may(archive: Runtime) -> None:
    at = at_day(DAYS)
    few = replace(archive, settings=replace(archive.settings, train_days=3))
    assert {one.days for one in train(few, at=at).series} <= {0, 1, 2, 3}
    assert min(one.days for one in train(archive, at=at).series) > 3


def test_a_training_reads_only_the_runs_that_it_may(archive: Runtime) -> None:
    """All runs of the archive are those of midnight."""

    def trained(*hours: int) -> list[object]:
        settings = replace(archive.settings, train_hours=hours)
        found = told(archive.tables, settings, at=at_day(DAYS), configured={})
        return [
            (one.series, one.places, rows_of(one.forecasts), rows_of(one.observations))
            for one in found
        ]

    (whole,) = trained()
    assert trained(0, 6) == [whole]
    assert trained(6, 12) == []


def rows_of(columns: ForecastColumns | ObservationColumns) -> list[list[float]]:
    return [getattr(columns, one.name).tolist() for one in fields(columns)]


def test_with_few_runs_a_place_is_where_it_is_configured_to_be(archive: Runtime) -> None:
    settings = replace(archive.settings, train_hours=(0,))
    configured = {"p1": Place(id="p1", latitude=48.5, longitude=11.5)}
    (history,) = told(archive.tables, settings, at=at_day(DAYS), configured=configured)
    assert history.position[1, :2].tolist() == [48.5, 11.5]
    assert np.isnan(history.position[0]).all()


def test_few_days_train_nothing_and_say_why(archive: Runtime) -> None:
    (row,) = train(archive, at=at_day(4)).series
    assert not row.promoted
    assert row.reason == "too little to learn from before the window"
    assert names.CHAMPION not in {one.name for one in archive.storage.list("models/")}


def test_promotion_is_an_event(archive: Runtime) -> None:
    model_id = train(archive, at=at_day(30)).series[0].model_id
    (delivery,) = archive.bus.lease(10)
    assert delivery.type == ModelPromoted.DESCRIPTOR.name
    message = json.loads(delivery.envelope)["message"]
    event = json.loads(base64.b64decode(message["data"]))
    assert (event["model_id"], event["variables"]) == (model_id, ["temperature_2m_max"])


def test_stations_count_before_analysis(archive: Runtime) -> None:
    rows = [observation(0, FIRST + timedelta(days=day), 99.0, kind="analysis") for day in range(9)]
    rows += [observation(7, FIRST, 50.0, kind="analysis")]
    write(archive, names.observations("raw/b", FIRST.date()), rows, columns.observations())
    (history,) = histories(archive.tables, ("temperature_2m_max",), as_of=at_day(20), places={})
    assert 99.0 not in history.observations.value
    assert history.against["p0"] == "station"


def test_flags_of_the_payload_keep_a_value_out(archive: Runtime) -> None:
    row = observation(0, FIRST + timedelta(days=50), 11.0)
    row["flags"] = [{"variable": "temperature_2m_max", "check": "range", "reason": "x"}]
    write(archive, names.observations("raw/b", FIRST.date()), [row], columns.observations())
    (history,) = histories(archive.tables, ("temperature_2m_max",), as_of=at_day(99), places={})
    assert history.observations.flagged.sum() == 1


def test_members_of_an_ensemble_are_no_forecasters(archive: Runtime) -> None:
    row = forecast("east", 1, at_day(9, 0), 99.0) | {"member": "07"}
    write(archive, names.forecasts("raw/m", FIRST.date()), [row], columns.forecasts())
    (history,) = histories(archive.tables, ("temperature_2m_max",), as_of=at_day(99), places={})
    assert len(history.forecasts.value) == DAYS * PLACES * len(SOURCES)
    assert 99.0 not in history.forecasts.value


def test_latest_as_of_holds_only_what_was_known(archive: Runtime) -> None:
    latest = latest_as_of(archive.tables, "p1", at_day(10, 0))
    assert [(run.source, run.issued_at.ToDatetime(UTC)) for run in latest.runs] == [
        ("east", at_day(10, 0)),
        ("west", at_day(10, 0)),
    ]
    assert [list(run.series[0].valid_at) for run in latest.runs] == [
        [int(at_day(11, 0).timestamp())]
    ] * 2


def test_latest_as_of_puts_runs_together_that_are_told_hour_by_hour(archive: Runtime) -> None:
    def row(variable: str, period: int, valid: datetime, value: float, days: int) -> dict:
        known = {"issued_at": valid - timedelta(days=days), "known_at": at_day(50)}
        made = forecast("fine", 1, valid, value) | known | {"period": period}
        return made | {"temperature_2m_max": None, variable: value}

    hours = [at_day(51, hour) for hour in range(3, 9)]
    rows = [row("temperature_2m", 0, at, float(at.hour), 1) for at in hours]
    rows += [row("temperature_2m", 0, at, -1.0, 2) for at in hours[:3]]  # older, for the same time
    rows += [row("temperature_2m_max", 86400, at_day(52, 0), 9.5, 2)]
    rows += [row("temperature_2m", 0, hours[0], 7.0, 1) | {"member": "01"}]
    write(archive, names.forecasts("raw/f", FIRST.date()), rows, columns.forecasts())
    (run,) = latest_as_of(archive.tables, "p1", at_day(50, 12)).runs
    assert run.issued_at.ToDatetime(UTC) == at_day(50, 8)
    hourly, daily = run.series
    assert list(hourly.valid_at) == [int(at.timestamp()) for at in hours]
    assert list(hourly.value) == [3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    assert (daily.period, list(daily.value)) == (86400, [9.5])


def test_backtest_writes_a_row_for_each_cycle_and_target(archive: Runtime, tmp_path: Path) -> None:
    rows = run_backtest(archive, tmp_path)
    assert len(rows) == 5 * PLACES
    assert {row["issued_at"] for row in rows} == {
        f"2026-01-{day:02d}T00:00:00Z" for day in range(20, 25)
    }
    quantiles = np.array([[float(row[name]) for name in list(row)[5:]] for row in rows])
    assert quantiles.shape == (30, 19)
    assert (np.diff(quantiles, axis=1) >= 0).all()


def test_backtest_at_given_times_of_day(archive: Runtime, tmp_path: Path) -> None:
    rows = run_backtest(archive, tmp_path, cycles=(time(6),))
    assert {row["issued_at"][11:] for row in rows} == {"06:00:00Z"}


def test_backtest_does_not_see_later_records(archive: Runtime, tmp_path: Path) -> None:
    before = run_backtest(archive, tmp_path)
    late = at_day(24, 0)
    rows = [
        observation(place, FIRST + timedelta(days=day), -20.0, known=late)
        for place in range(PLACES)
        for day in range(23)
    ]
    write(archive, names.observations("raw/b", FIRST.date()), rows, columns.observations())
    assert run_backtest(archive, tmp_path) == before


def test_places_held_out_do_not_learn_from_themselves(archive: Runtime, tmp_path: Path) -> None:
    held = Holdout.parse("0/2")
    mine = {place for place in map("p{}".format, range(PLACES)) if held.holds(place)}
    assert 0 < len(mine) < PLACES
    digest = int(hashlib.sha1(b"p0").hexdigest(), 16)
    assert ("p0" in mine) == (digest % 2 == 0)
    before = run_backtest(archive, tmp_path, holdout=held)
    rows = [
        observation(int(place[1:]), FIRST + timedelta(days=day, hours=1), 30.0)
        for place in mine
        for day in range(15)
    ]
    write(archive, names.observations("raw/b", FIRST.date()), rows, columns.observations())
    assert run_backtest(archive, tmp_path, holdout=held) == before
    with pytest.raises(ValueError, match="N/K"):
        Holdout.parse("3/3")


def run_backtest(
    runtime: Runtime,
    tmp_path: Path,
    *,
    cycles: tuple[time, ...] = (),
    holdout: Holdout | None = None,
) -> list[dict[str, str]]:
    out = tmp_path / "q.csv"
    report = backtest(
        runtime,
        variable="temperature_2m_max",
        first=date(2026, 1, 21),
        last=date(2026, 1, 25),
        out=out,
        cycles=cycles,
        holdout=holdout,
    )
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert report.rows == len(rows)
    return rows


def forecast(source: str, place: int, valid: datetime, value: float) -> dict[str, object]:
    issued = valid - timedelta(days=1)
    return {
        **record(source, place, known=issued),
        "model": "",
        "member": "",
        "issued_at": issued,
        "valid_at": valid,
        "temperature_2m_max": value,
    }


def observation(
    place: int,
    valid: datetime,
    value: float,
    *,
    kind: str = "station",
    known: datetime | None = None,
) -> dict[str, object]:
    source = "synop" if kind == "station" else "reanalysis"
    return {
        **record(source, place, known=known or valid),
        "observed_at": valid,
        "kind": kind,
        "temperature_2m_max": value,
    }


def record(source: str, place: int, *, known: datetime) -> dict[str, object]:
    return {
        "source": source,
        "place_id": f"p{place}",
        "period": 86400,
        "known_at": known,
        "received_at": known,
        "latitude": 48.0 + 0.1 * place,
        "longitude": 11.0,
        "elevation": 500.0,
        "raw": "raw/a",
        "flags": [],
    }


def write(runtime: Runtime, name: str, rows: list[dict[str, object]], schema: pa.Schema) -> None:
    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), file)
    runtime.storage.write(name, file.getvalue())
