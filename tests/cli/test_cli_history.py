"""History from BigQuery's public data sets: what is asked, what it costs, what becomes of it."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from bigquery_server import BigQueryServer
from bigquery_server import serving as serving_bigquery
from click.testing import CliRunner, Result
from gcs_server import serving as serving_gcs
from skyblend.cli.history import store
from skyblend.cli.main import cli
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tables import Query

FETCH = ("history", "fetch", "gsod", "--station", "103840-99999", "--years", "2020-2021")
Run = Callable[..., Result]


@pytest.fixture
def bigquery(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryServer]:
    """BigQuery and Cloud Storage on loopback, and settings that choose them."""
    with serving_gcs() as gcs, serving_bigquery(lambda uri: b"") as server:
        for name, value in {
            "SKYBLEND_DATA": str(tmp_path / "data"), "SKYBLEND_STORAGE": "gcs",
            "SKYBLEND_TABLES": "bigquery", "SKYBLEND_PROJECT": "p",
            "SKYBLEND_BUCKET": gcs.bucket.name, "STORAGE_EMULATOR_HOST": gcs.url,
            "BIGQUERY_EMULATOR_HOST": server.url,
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        yield server


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_a_dry_run_tells_the_bytes_and_asks_nothing(bigquery: BigQueryServer) -> None:
    done = run(*FETCH, "--dry-run")
    assert done.exit_code == 0, done.output
    assert "the query reads 10.5 MB" in done.stderr
    assert bigquery.begun == []


def test_a_query_above_the_limit_is_not_run(
    bigquery: BigQueryServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYBLEND_QUERY_LIMIT", "1000")
    done = run(*FETCH)
    assert done.exit_code != 0
    assert "SKYBLEND_QUERY_LIMIT=1000" in f"{done.output}{done.exception}"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--years", "20"), "expected a year or a range like 2015-2024, got '20'"),
        (("--place", "Ulm", "--station", "x"), "expected one --station with it, got 2"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    bigquery: BigQueryServer, arguments: tuple[str, ...], told: str
) -> None:
    done = run(*FETCH, *arguments)
    assert done.exit_code == 2
    assert told in done.output


def test_a_point_that_is_none_is_refused(bigquery: BigQueryServer) -> None:
    done = run("history", "stations", "gsod", "--near", "95,13")
    assert "expected LAT,LON in degrees, got '95,13'" in done.output


def test_without_bigquery_the_command_says_what_it_needs(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path), *FETCH)
    assert "expected SKYBLEND_TABLES=bigquery, got duckdb" in done.output


def test_the_rows_of_a_query_go_the_way_of_an_upload(tmp_path: Path) -> None:
    runtime = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)}))
    moment = datetime(2021, 1, 1, tzinfo=UTC)
    rows = pa.table(
        {
            "place_id": ["103840-99999"], "source": ["gsod"], "kind": ["station"],
            "latitude": [52.47], "longitude": [13.4], "elevation": [48.0],
            "observed_at": pa.array([moment], pa.timestamp("us", "UTC")),
            "known_at": pa.array([datetime(2021, 1, 3, tzinfo=UTC)], pa.timestamp("us", "UTC")),
            "period": [86400], "temperature_2m_max": [10.0],
            "temperature_2m_min": pa.array([None], pa.float64()), "precipitation_sum": [0.5],
        }
    )  # fmt: skip
    with closing(runtime.bus):
        stored = store(runtime, rows, place="Berlin", file_name="gsod.parquet")
        again = store(runtime, rows, place="Berlin", file_name="gsod.parquet")
        assert (stored.created, again.created) == (True, False)
        done = process(runtime, RawStored(object=stored.object, source="tidy"), now=moment)
        assert (done.observations, done.quarantined) == (1, 0)
        (row,) = runtime.tables.observations(Query()).to_pylist()
    assert (row["place_id"], row["source"], row["observed_at"]) == ("Berlin", "gsod", moment)
    assert (row["temperature_2m_max"], row["temperature_2m_min"]) == (10.0, None)
    assert row["precipitation_sum"] == 0.5
