"""A year of real NWS bulletins, from the archives to the export, against the reference tables.

The tables are computed from the same bulletins by other code; see the README of the archives.
"""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from processes import skyblend
from skyblend.predict.blend.standing import Standing, Told
from skyblend.predict.train.history import histories, latest_as_of
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings

pytestmark = [pytest.mark.archives, pytest.mark.slow, pytest.mark.timeout(600)]

VARIABLES = {"high": "temperature_2m_max", "low": "temperature_2m_min"}


@pytest.fixture(scope="module")
def folder(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the places and all twelve archives."""
    data = tmp_path_factory.mktemp("bulletins")
    found = archives / "nws_scs"
    assert skyblend(data, "places", "import", found / "scs_cities.csv").returncode == 0
    files = sorted((found / "raw").glob("scs_2021-*.tar.gz"))
    assert len(files) == 12
    done = skyblend(data, "upload", *files)
    assert done.returncode == 0, done.stderr
    assert all(line.split()[-1] == "0" for line in done.stdout.splitlines()[1:])
    return data


@pytest.fixture(scope="module")
def pairs(archives: Path) -> pd.DataFrame:
    """The reference pairs, with our valid times: a high ends at 00Z, a low at 12Z."""
    table = pd.read_csv(archives / "nws_scs" / "scs_pairs_2021.csv.gz")
    day = pd.to_datetime(table["target_date"], utc=True)
    ends = np.where(table["element"] == "high", 24, 12)
    table["valid_at"] = day + pd.to_timedelta(ends, unit="h")
    table["issued_at"] = pd.to_datetime(table["issued_utc"], utc=True)
    return table.rename(columns={"city": "place_id"})


def exported(data: Path, kind: str, *options: str) -> pd.DataFrame:
    out = data / f"{kind}.parquet"
    done = skyblend(data, "export", kind, *options, "--out", out)
    assert done.returncode == 0, done.stderr
    return pd.read_parquet(out)


def fahrenheit(column: pd.Series) -> pd.Series:
    return column * 9 / 5 + 32


def test_the_export_has_every_forecast_of_the_pairs(folder: Path, pairs: pd.DataFrame) -> None:
    forecasts = exported(folder, "forecasts")
    for element, variable in VARIABLES.items():
        ours = forecasts[forecasts[variable].notna()]
        theirs = pairs[pairs["element"] == element]
        both = theirs.merge(ours, "left", on=["issued_at", "place_id", "valid_at"])
        assert len(both) == len(theirs) == 226_370
        np.testing.assert_allclose(fahrenheit(both[variable]), both["forecast_f"], atol=1e-9)


def test_the_current_observations_are_the_final_ones(folder: Path, pairs: pd.DataFrame) -> None:
    observations = exported(folder, "observations", "--current", "--source", "nws_scs")
    observations = observations.rename(columns={"observed_at": "valid_at"})
    for element, variable in VARIABLES.items():
        ours = observations[observations[variable].notna()]
        theirs = pairs[pairs["element"] == element]
        both = theirs.merge(ours, "left", on=["place_id", "valid_at"])
        assert len(both) == len(theirs)
        np.testing.assert_allclose(fahrenheit(both[variable]), both["obs_f"], atol=1e-9)


def test_what_was_impossible_is_listed_and_real_cold_is_not(folder: Path) -> None:
    listed = skyblend(folder, "quarantine", "list").stdout
    assert "SIOUX FALLS 2021-12-06T00:00:00Z" in listed  # 108 F in December
    assert "SAN ANGELO 2021-06-07T00:00:00Z" in listed  # 122 F
    assert "SAN ANGELO 2021-08-21T00:50:00Z" in listed  # -10 F in August
    assert "2021-02-1" not in listed  # the cold of February was real


# A -10 F in place of a low each, by models of the same time and of the day before.
@pytest.mark.parametrize(
    ("at", "trained", "impossible"),
    [
        (datetime(2021, 3, 28, 6, tzinfo=UTC), timedelta(hours=20), {"GRAND RAPIDS", "LANSING"}),
        (datetime(2021, 8, 8, 6, tzinfo=UTC), timedelta(0), {"PHOENIX", "YUMA"}),
        (datetime(2021, 8, 21, 6, tzinfo=UTC), timedelta(hours=20), {"SAN ANGELO"}),
    ],
)
def test_issuing_passes_over_what_training_passes_over(
    folder: Path, at: datetime, trained: timedelta, impossible: set[str]
) -> None:
    runtime = runtime_for(Settings.read({"SKYBLEND_DATA": str(folder)}))
    now, then = _us(at), _us(at - trained)
    variable = ("temperature_2m_min",)
    history = histories(runtime.tables, variable, as_of=at, places={})[0]
    past = histories(runtime.tables, variable, as_of=at - trained, places={})[0]
    standing = Standing.of(past.series, past.cases, past.forecasters, at=then)
    rows = history.forecasts
    doubted = rows.flagged & (rows.valid > now)
    assert {history.places[code] for code in rows.place[doubted]} == impossible
    for place in {*impossible, "BOSTON", "PHOENIX"}:
        (run,) = latest_as_of(runtime.tables, place, at).runs
        lows = run.series[-1]
        told = Told(
            ("nws_scs",),
            np.array([_us(run.known_at.ToDatetime(UTC))]),
            np.array(lows.valid_at) * 1_000_000,
            np.array([lows.value]),
        )
        believed = standing.believed(past.series, told, place=past.places.index(place), at=now)
        mine = doubted & (rows.place == history.places.index(place))
        skipped = told.valid[~np.isfinite(believed[0])]
        assert sorted(skipped) == sorted(rows.valid[mine])


def _us(at: datetime) -> int:
    return round(at.timestamp()) * 1_000_000


@pytest.mark.skipif(
    os.environ.get("SKYBLEND_PROVE") != "1", reason="trains on a year of bulletins: make prove"
)
def test_a_model_trained_at_the_end_of_the_year_forecasts_boston(folder: Path) -> None:
    trained = skyblend(folder, "train", "--at", "2021-12-31T13:00Z")
    assert trained.returncode == 0, trained.stderr
    assert "temperature_2m_max/43200: model" in trained.stdout
    told = skyblend(folder, "forecast", "--place", "BOSTON", "--at", "2021-12-31T13:00Z")
    assert told.returncode == 0, told.stderr
    rows = [line.split() for line in told.stdout.splitlines() if line.startswith("  20")]
    assert len(rows) >= 4
    assert all(float(p10) < float(p50) < float(p90) for _, _, p10, p50, p90 in rows)


def test_a_second_upload_changes_nothing(folder: Path, archives: Path) -> None:
    january = archives / "nws_scs" / "raw" / "scs_2021-01.tar.gz"
    row = skyblend(folder, "upload", january).stdout.splitlines()[1].split()
    assert row == ["scs_2021-01.tar.gz", "already", "3435", "0", "3435", "0", "0"]
