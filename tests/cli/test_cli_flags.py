"""What the quarantine list and the export flag is exactly what training passes over."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skyblend.cli.flags import flagged
from skyblend.predict.blend.columns import ForecastColumns, History, ObservationColumns
from skyblend.predict.train.history import histories
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tables import columns

FIRST = datetime(2026, 1, 1, tzinfo=UTC)
DAYS, PLACES = 60, ("Ulm", "Bonn")
Key = tuple[Any, ...]


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """Two places, three forecasters and a member; a station beside an analysis, wild values in
    each."""
    made, random = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)})), _random()
    told, seen = [], []
    for day in range(DAYS):
        for place in PLACES:
            valid, truth = FIRST + timedelta(days=day), 5 * random.standard_normal()
            for model, member in (("a", ""), ("b", ""), ("c", ""), ("a", "01")):
                row = _row(place, truth + random.standard_normal() + _wild(random))
                run = {"model": model, "member": member, "valid_at": valid, "source": "x"}
                told.append(row | run | _known(valid - timedelta(days=1)))
            for source, kind in (("s", "station"), ("m", "analysis"))[: 2 if place == "Ulm" else 1]:
                row = _row(place, truth + _wild(random)) | {"source": source, "kind": kind}
                known = {"known_at": valid, "received_at": valid, "observed_at": valid}
                seen.append(row | known)
    _write(made, names.forecasts("raw/a", FIRST.date()), told, columns.forecasts())
    _write(made, names.observations("raw/a", FIRST.date()), seen, columns.observations())
    return made


def test_training_skips_what_the_quarantine_list_shows(runtime: Runtime) -> None:
    listed = flagged(runtime.tables, PLACES)
    history = histories(
        runtime.tables, ("temperature_2m_max",), as_of=FIRST + timedelta(days=99), places={}
    )[0]
    told = {_told_key(one.key) for one in listed if one.kind == "forecasts"}
    seen = {_seen_key(one.key) for one in listed if one.kind == "observations"}
    assert told == set(_skipped(history, history.forecasts))
    assert seen == {key[1:] for key in _skipped(history, history.observations)}
    assert len(told) > 5
    assert len(seen) > 1


def test_an_analysis_beside_a_station_and_a_member_are_not_judged(runtime: Runtime) -> None:
    listed = flagged(runtime.tables, PLACES)
    assert {one.key[0] for one in listed if one.kind == "observations"} == {"s"}
    assert {one.key[2] for one in listed if one.kind == "forecasts"} == {""}


def _told_key(key: Key) -> Key:
    row = dict(zip(columns.FORECAST_KEY, key, strict=True))
    return f"{row['source']}/{row['model']}", row["place_id"], row["valid_at"]


def _seen_key(key: Key) -> Key:
    row = dict(zip(columns.OBSERVATION_KEY, key, strict=True))
    return row["place_id"], row["observed_at"]


def _skipped(history: History, rows: ForecastColumns | ObservationColumns) -> list[Key]:
    names_of = history.forecasters if isinstance(rows, ForecastColumns) else ("",)
    who = rows.forecaster if isinstance(rows, ForecastColumns) else np.zeros_like(rows.place)
    return [
        (
            names_of[who[row]],
            history.places[rows.place[row]],
            datetime.fromtimestamp(rows.valid[row] / 1e6, UTC),
        )
        for row in np.flatnonzero(rows.flagged)
    ]


def _random() -> np.random.Generator:
    return np.random.default_rng(11)


def _wild(random: np.random.Generator) -> float:
    return float(random.choice([0.0, 45.0], p=[0.95, 0.05]))


def _known(at: datetime) -> dict[str, Any]:
    return {"issued_at": at, "known_at": at, "received_at": at}


def _row(place: str, value: float) -> dict[str, Any]:
    shared = {"place_id": place, "period": 86400, "raw": "raw/a", "flags": []}
    return shared | {"temperature_2m_max": round(float(value), 2)}


def _write(runtime: Runtime, name: str, rows: Sequence[dict[str, Any]], schema: pa.Schema) -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink)
    runtime.storage.write(name, sink.getvalue().to_pybytes())
