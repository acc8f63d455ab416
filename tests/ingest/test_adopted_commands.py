"""The commands of an operator on a bucket in Cloud Storage: uploads and what was refused."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from gcs_server import Gcs, serving
from skyblend.cli.main import cli
from skyblend.ingest.arrivals import adopt
from skyblend.runtime import names
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.finalized import Finalized
from skyblend.runtime.storage.gcs import GcsStorage

Run = Callable[..., Result]
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
FORECASTS = b"""\
source,place_id,latitude,longitude,elevation,issued_at,valid_at,temperature_2m
alpha,Ulm,48.4,9.98,478,2024-01-01T00:00:00Z,2024-01-01T06:00:00Z,1.25
alpha,Ulm,48.4,9.98,478,2024-01-01T00:00:00Z,2024-01-01T07:00:00Z,0.5
"""
IN_THE_CLOUD = {
    "SKYBLEND_STORAGE": "gcs",
    "SKYBLEND_TABLES": "bigquery",
    "SKYBLEND_PROJECT": "p",
    "SKYBLEND_BUCKET": "weather",
}


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gcs]:
    with serving() as server:
        for name, value in {**IN_THE_CLOUD, "STORAGE_EMULATOR_HOST": server.url}.items():
            monkeypatch.setenv(name, value)
        yield server


@pytest.fixture
def run(gcs: Gcs, tmp_path: Path) -> Run:
    """Runs a command; the bus is a file, so that all is done when the command returns."""

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(cli, ["--data", str(tmp_path / "data"), *map(str, arguments)])

    return invoke


def test_an_operator_uploads_straight_into_the_bucket(gcs: Gcs, run: Run, tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(FORECASTS)
    result = run("upload", file)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[1].split()[:3] == ["a.csv", "yes", "2"]
    found = sorted(gcs.bucket.objects)
    assert [name for name in found if name.startswith(names.FORECASTS)]
    [raw] = [name for name in found if name.startswith(names.UPLOADS)]
    assert gcs.bucket.objects[raw].data == FORECASTS
    generation = gcs.bucket.objects[raw].generation
    assert run("upload", file).output.splitlines()[1].split()[:3] == ["a.csv", "already", "2"]
    assert gcs.bucket.objects[raw].generation == generation


@pytest.fixture
def refuse(gcs: Gcs, tmp_path: Path) -> Callable[[str], None]:
    """Has an arrival refused, as larger than 50 bytes."""

    def run(name: str) -> None:
        small = {
            "SKYBLEND_AUTH": "none",
            "SKYBLEND_UPLOAD_LIMIT": "50",
            "SKYBLEND_DATA": str(tmp_path / "service"),
        }
        runtime = runtime_for(Settings.read({**IN_THE_CLOUD, **small}, serves=False))
        with closing(GcsStorage(gcs.bucket.name, project="p")) as storage, closing(runtime.bus):
            told_of = Finalized("weather", name, storage.write(name, FORECASTS))
            adopt(replace(runtime, storage=storage), told_of, now=NOON)

    return run


def test_a_refused_arrival_is_replayed(
    gcs: Gcs, run: Run, refuse: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    arrived = "uploads/0123/a.csv"
    monkeypatch.setenv("SKYBLEND_UPLOAD_LIMIT", "50")
    refuse(arrived)
    listed = run("quarantine", "list", "--no-flags").output
    assert "at size: expected at most 50 bytes (SKYBLEND_UPLOAD_LIMIT), got" in listed
    id_ = listed.split()[0]
    assert "refused again: at size" in run("quarantine", "replay", id_).output
    monkeypatch.delenv("SKYBLEND_UPLOAD_LIMIT")
    again = run("quarantine", "replay", id_)
    assert f"{arrived} is taken over as {names.UPLOADS}" in again.output
    assert arrived not in gcs.bucket.objects
    assert run("quarantine", "list", "--no-flags").output == ""
