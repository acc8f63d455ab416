"""Which half of the data folder a start chooses, where no provider can be reached."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from skyblend.cli.main import cli
from skyblend.cli.simulation import decide
from skyblend.ingest import retries
from skyblend.runtime import names
from skyblend.runtime.folder import Running, pipeline_lock, write_running
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings

# Nobody listens on port 9 of this machine.
NOWHERE = {
    "SKYBLEND_OPEN_METEO_FORECAST_URL": "http://127.0.0.1:9/v1/forecast",
    "SKYBLEND_DATA": "x",
}
UNREACHABLE = "Open-Meteo cannot be reached (ConnectionError)"


@pytest.mark.parametrize(
    ("wish", "realm", "told"),
    [
        (None, "simulated", f"SIMULATED, {UNREACHABLE}: every number is made up."),
        ("simulated", "simulated", "SIMULATED, as asked for: every number is made up."),
        ("live", "live", f"{UNREACHABLE}; it is asked again each minute"),
    ],
)
def test_a_start_without_a_provider_says_what_it_runs_on(
    capsys: pytest.CaptureFixture[str], wish: str | None, realm: str, told: str
) -> None:
    assert decide(wish, NOWHERE).realm == realm
    assert told in capsys.readouterr().out


def _lived(data: Path) -> dict[str, str]:
    """A folder whose live half holds a newest forecast."""
    environ = {**NOWHERE, "SKYBLEND_DATA": str(data)}
    storage = runtime_for(Settings.read(environ)).storage
    storage.write(names.latest("raw/uploads/a"), b"")
    return environ


def test_a_start_without_a_provider_goes_on_with_live_forecasts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    environ = _lived(tmp_path)
    assert decide(None, environ).realm == "live"
    assert f"NO PROVIDER, {UNREACHABLE}: the last forecasts are served" in capsys.readouterr().out
    assert decide("simulated", environ).realm == "simulated"


def test_uploads_alone_are_no_live_forecasts(tmp_path: Path) -> None:
    environ = {**NOWHERE, "SKYBLEND_DATA": str(tmp_path)}
    runtime_for(Settings.read(environ)).storage.write(names.upload("ab" * 32), b"x")
    assert decide(None, environ).realm == "simulated"


@contextmanager
def _up(data: Path, realm: str) -> Iterator[None]:
    """What other commands see of a running `up`."""
    running = Running(pid=1, address="http://127.0.0.1:1", realm=realm, started_at="now")
    with pipeline_lock(data):
        write_running(data, running)
        yield


def test_what_works_in_the_simulated_half_says_so_in_one_line(tmp_path: Path) -> None:
    add = ["--data", str(tmp_path), "places", "add", "Ulm", "--lat", "48.4", "--lon", "10"]
    with _up(tmp_path, "simulated"):
        result = CliRunner().invoke(cli, add)
    assert result.stderr == (
        f"simulated: works on made-up weather in {tmp_path}/simulated, as the running `up` does; "
        "--live says otherwise\n"
    )
    assert (tmp_path / "simulated" / "bucket" / "places.json").exists()
    assert not (tmp_path / "live").exists()


@pytest.mark.parametrize(
    ("realm", "option", "other"), [("simulated", "--live", "live"), ("live", "--simulate", None)]
)
def test_a_half_that_the_running_up_does_not_serve_is_drained_by_the_command(
    tmp_path: Path, realm: str, option: str, other: str | None
) -> None:
    file = tmp_path / "observations.csv"
    file.write_text(
        "place_id,latitude,longitude,elevation,observed_at,temperature_2m\n"
        "Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,1.5\n"
    )
    data = tmp_path / "data"
    data.mkdir()
    with _up(data, realm):  # it delivers nothing
        result = CliRunner().invoke(cli, ["--data", str(data), option, "upload", str(file)])
        status = CliRunner().invoke(cli, ["--data", str(data), option, "status"]).output
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[1].split() == ["observations.csv", "yes", *"11000"]
    assert (result.stderr == "") == (other == "live")
    assert f"http://127.0.0.1:1, {realm}, process 1" in status


def test_the_realm_of_the_environment_counts_and_an_option_counts_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SKYBLEND_REALM", "simulated")
    status = CliRunner().invoke(cli, ["--data", str(tmp_path), "status"])
    assert f"folder     {tmp_path}/simulated" in status.output
    status = CliRunner().invoke(cli, ["--data", str(tmp_path), "--live", "status"])
    assert f"folder     {tmp_path}/live" in status.output
    monkeypatch.setenv("SKYBLEND_REALM", "dream")
    for command in ("status", "up"):
        refused = CliRunner().invoke(cli, ["--data", str(tmp_path), command]).exception
        assert str(refused) == "SKYBLEND_REALM must be one of live, simulated, got 'dream'"


def test_a_provider_that_asked_for_patience_is_named_with_its_time(tmp_path: Path) -> None:
    storage = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)})).storage
    retries.leave_alone(storage, "open_meteo", datetime(2999, 1, 1, tzinfo=UTC), reason="429")
    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "collect"])
    assert result.exit_code == 0
    assert "open_meteo: 0 answers, 0 raw objects; left alone until 2999-01-01T00:00:00Z" in (
        result.output
    )
