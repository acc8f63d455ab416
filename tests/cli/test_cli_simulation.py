"""Which half of the data folder a start chooses, where no provider can be reached."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from skyblend.cli.main import cli
from skyblend.cli.simulation import decide
from skyblend.ingest import retries
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


def test_a_provider_that_asked_for_patience_is_named_with_its_time(tmp_path: Path) -> None:
    storage = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)})).storage
    retries.leave_alone(storage, "open_meteo", datetime(2999, 1, 1, tzinfo=UTC), reason="429")
    result = CliRunner().invoke(cli, ["--data", str(tmp_path), "collect"])
    assert result.exit_code == 0
    assert "open_meteo: 0 answers, 0 raw objects; left alone until 2999-01-01T00:00:00Z" in (
        result.output
    )
