"""Which half of the data folder a start chooses, where no provider can be reached."""

import pytest
from skyblend.cli.simulation import decide

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
