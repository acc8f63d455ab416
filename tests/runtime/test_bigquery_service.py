"""Records on their way into BigQuery: the upload, preprocess, `POST /v1/load` and the commands,
with the real clients against our own small Cloud Storage and BigQuery."""

import io
import json
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from bigquery_server import BigQueryServer
from bigquery_server import serving as serving_bigquery
from click.testing import CliRunner, Result
from flask import Flask, request
from gcs_server import serving as serving_gcs
from skyblend.cli.main import cli
from skyblend.ingest import uploads
from skyblend.preprocess.compaction import compact_closed_days
from skyblend.preprocess.mark import Processed
from skyblend.preprocess.process import process
from skyblend.preprocess.service import respond
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.gcs import GcsStorage

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
PATH = "/v1/load"
JSON = {"Content-Type": "application/json"}
FORECASTS = """\
source,place_id,latitude,longitude,elevation,issued_at,valid_at,temperature_2m
alpha,Ulm,48.4,9.98,478,2024-01-01T00:00:00Z,2024-01-01T06:00:00Z,1.25
alpha,Ulm,48.4,9.98,478,2024-01-01T00:00:00Z,2024-01-01T07:00:00Z,99.5
"""
OBSERVATIONS = """\
place_id,latitude,longitude,elevation,observed_at,temperature_2m
Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,0.25
"""


class Cloud:
    """A project with a bucket and a BigQuery, as the environment names them."""

    def __init__(self, environ: dict[str, str], bigquery: BigQueryServer, calls: Any) -> None:
        self.environ, self.bigquery, self.calls = environ, bigquery, calls
        self.runtime = runtime_for(Settings.read(environ, serves=False))

    def upload(self, text: str) -> Processed:
        stored = uploads.store(
            self.runtime, io.BytesIO(text.encode()), file_name="f.csv", source="", now=NOW
        )
        return process(self.runtime, RawStored(object=stored.object), now=NOW)

    def run(self, *arguments: object) -> Result:
        given = ["--data", self.environ["SKYBLEND_DATA"], *map(str, arguments)]
        return CliRunner().invoke(cli, given, env=self.environ)


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    with serving_gcs() as gcs:
        environ = {
            "SKYBLEND_DATA": str(tmp_path / "data"),
            "SKYBLEND_STORAGE": "gcs",
            "SKYBLEND_TABLES": "bigquery",
            "SKYBLEND_AUTH": "none",
            "SKYBLEND_PROJECT": "p",
            "SKYBLEND_BUCKET": gcs.bucket.name,
            "STORAGE_EMULATOR_HOST": gcs.url,
        }
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        storage = GcsStorage(gcs.bucket.name, project="p", patience=5)
        objects = f"gs://{gcs.bucket.name}/"
        with (
            closing(storage),
            serving_bigquery(lambda uri: storage.read(uri.removeprefix(objects)).data) as bigquery,
        ):
            environ["BIGQUERY_EMULATOR_HOST"] = bigquery.url
            monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery.url)
            yield Cloud(environ, bigquery, gcs.calls)


def client(runtime: Runtime) -> Any:
    app = Flask(__name__)
    app.add_url_rule(
        "/<path:_>", view_func=lambda _: respond(request, runtime), methods=["GET", "POST"]
    )
    return app.test_client()


def test_an_upload_is_noted_and_the_next_tick_loads_it(cloud: Cloud) -> None:
    forecasts, observations = cloud.upload(FORECASTS), cloud.upload(OBSERVATIONS)
    assert (forecasts.forecasts, observations.observations) == (2, 1)
    assert cloud.bigquery.begun == []
    answered = client(cloud.runtime).post(PATH, data="{}", headers=JSON)
    assert answered.status_code == 200
    assert json.loads(answered.data) == {
        "objects": 2, "removed": 0, "rows": 3, "left": 0, "refused": [],
    }  # fmt: skip
    found = cloud.bigquery.rows("forecasts", "source, temperature_2m, LEN(flags)")
    assert found == [("alpha", 1.25, 0), ("alpha", 99.5, 1)]
    assert cloud.bigquery.rows("observations", "kind, temperature_2m") == [("station", 0.25)]
    answered = client(cloud.runtime).post(PATH, data="{}", headers=JSON)
    assert json.loads(answered.data)["objects"] == 0
    assert len(cloud.bigquery.begun) == 4


def test_what_cannot_be_read_yet_is_not_counted_as_unchanged(cloud: Cloud) -> None:
    told = cloud.upload(FORECASTS)
    assert (told.versions, told.unchanged) == (None, None)
    assert cloud.bigquery.statements == []


def test_no_files_are_merged_where_none_are_read(cloud: Cloud) -> None:
    for number in range(12):
        cloud.runtime.storage.write(f"{names.FORECASTS}2026-11-20/{number}.parquet", b"")
    cloud.calls.clear()
    assert compact_closed_days(cloud.runtime, now=NOW + timedelta(days=2)) == 0
    assert cloud.calls == []
    cloud.upload(FORECASTS)
    listed = [call for call in cloud.calls if "list" in call.kind]
    assert not [call for call in listed if call.query.get("prefix", "").startswith("records/")]


def test_trouble_with_bigquery_is_answered_so_that_the_tick_comes_again(cloud: Cloud) -> None:
    cloud.upload(FORECASTS)
    cloud.upload(OBSERVATIONS)
    cloud.bigquery.trouble.failing["load"] = ["no luck today"] * 3
    answered = client(cloud.runtime).post(PATH, data="{}", headers=JSON)
    assert answered.status_code == 503
    assert "no luck today" in json.loads(answered.data)["detail"]
    assert len(cloud.bigquery.rows("observations")) == 1  # one table does not hold up the other
    assert client(cloud.runtime).post(PATH, data="{}", headers=JSON).status_code == 200
    assert len(cloud.bigquery.rows("forecasts")) == 2


@pytest.mark.parametrize(
    ("changed", "status"), [({"Host": "evil.example"}, 421), ({"Content-Type": "text/plain"}, 415)]
)
def test_a_request_that_a_page_could_make_is_refused(
    cloud: Cloud, changed: dict[str, str], status: int
) -> None:
    answered = client(cloud.runtime).post(PATH, data="{}", headers={**JSON, **changed})
    assert answered.status_code == status
    assert client(cloud.runtime).get(PATH).status_code == 404


def test_on_one_machine_there_is_nothing_to_load(tmp_path: Path) -> None:
    runtime = runtime_for(Settings(data=tmp_path))
    headers = {**JSON, "Authorization": f"Bearer {runtime.token}"}
    answered = client(runtime).post(PATH, data="{}", headers=headers)
    assert json.loads(answered.data) == {
        "objects": 0, "removed": 0, "rows": 0, "left": 0, "refused": [],
    }  # fmt: skip
    assert client(runtime).post(PATH, data="{}", headers=JSON).status_code == 401


def test_the_command_loads_all_that_waits(cloud: Cloud) -> None:
    cloud.upload(FORECASTS)
    result = cloud.run("load")
    assert result.exit_code == 0, result.output
    assert (
        result.stdout == "2 rows of 1 record objects loaded, those of 0 taken out, 0 objects left\n"
    )
    name = f"{names.FORECASTS}2026-11-20/strange.parquet"
    cloud.runtime.storage.write(name, b"strange")
    cloud.runtime.tables.load(name)
    result = cloud.run("load")
    assert result.exit_code == 1
    assert f"not loaded: {name}: expected a Parquet file" in result.output


def test_a_dry_run_of_training_tells_the_bytes_of_each_query(cloud: Cloud) -> None:
    cloud.upload(FORECASTS)
    cloud.upload(OBSERVATIONS)
    assert cloud.run("load").exit_code == 0
    cloud.bigquery.bytes = 1000
    result = cloud.run("train", "--dry-run")
    assert result.exit_code == 0, result.output
    *queries, total = result.stdout.splitlines()
    assert queries[:2] == [
        "temperature_2m of forecasts: 1000 bytes",
        "temperature_2m of observations: 1000 bytes",
    ]
    assert total == "6000 bytes in 6 queries; SKYBLEND_QUERY_LIMIT of each: 21474836480"


def test_views_are_refused_where_no_table_keeps_them(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "load", "--views"])
    assert result.exit_code == 2
    assert "expected SKYBLEND_TABLES=bigquery" in result.output


def test_a_dry_run_of_training_is_refused_where_nothing_is_billed(tmp_path: Path) -> None:
    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "train", "--dry-run"])
    assert result.exit_code == 2
    assert "reading costs nothing" in result.output
