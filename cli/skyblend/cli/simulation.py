"""Which half of the data folder `up` runs on, and the simulator behind the simulated one."""

import logging
from collections.abc import Mapping

import click
import requests
from skyblend.cli import times
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.settings import REALMS, Settings
from skyblend.runtime.storage.folder import FolderStorage

_PROBE_SECONDS = 4.0
_SIMULATED = "SIMULATED, {}: every number is made up."
_LAST_GOOD = (
    "NO PROVIDER, {}: the last forecasts are served,\nolder and older; it is asked again each "
    "minute. --simulate runs on made-up weather."
)
_SOMEWHERE = Place(id="probe", latitude=52.52, longitude=13.41)


def decide(wish: str | None, environ: Mapping[str, str]) -> Settings:
    """The settings with the half wished for. By default the live one if Open-Meteo answers or the
    half holds forecasts from before, which are served, older and older, until it does."""
    given = Settings.read(environ).environ
    live, simulated = (Settings.read({**given, "SKYBLEND_REALM": realm}) for realm in REALMS)
    if wish == "simulated":
        _shout(_SIMULATED.format("as asked for"))
        return simulated
    if (trouble := unreachable(live)) is None:
        return live
    trouble = f"Open-Meteo cannot be reached ({trouble})"
    if wish == "live":
        click.echo(f"{trouble}; it is asked again each minute")
    elif holds_forecasts(live):
        _shout(_LAST_GOOD.format(trouble))
    else:
        _shout(_SIMULATED.format(trouble))
        return simulated
    return live


def holds_forecasts(settings: Settings) -> bool:
    """Whether this half was collected for before: it has newest forecasts to serve."""
    bucket = settings.root / "bucket"
    return bucket.is_dir() and any(True for _ in FolderStorage(bucket).list(names.LATEST))


def _shout(what: str) -> None:
    """Say so that nobody overlooks it."""
    line = "!" * 78
    click.secho(f"{line}\n{what}\n{line}", fg="red", bold=True)


def unreachable(settings: Settings) -> str | None:
    """Why Open-Meteo does not answer, or None; asks it once."""
    from skyblend.sources.registry import source

    options = settings.source_options("open_meteo")
    asked = next(
        iter(
            source("open_meteo").requests(
                "forecast", [_SOMEWHERE], slot=times.now(), options=options
            )
        )
    )
    try:
        answer = requests.get(asked.url, params=dict(asked.params), timeout=_PROBE_SECONDS)
        answer.json()
    except requests.JSONDecodeError:
        return f"status {answer.status_code} without JSON"
    except requests.RequestException as error:
        return type(error).__name__
    return None


def with_simulator(settings: Settings) -> Settings:
    """Start the simulator in this process, and point the sources at it."""
    from skyblend.simulator.server import serve

    logging.getLogger(__name__).warning("SIMULATED: every number is made up")
    simulator = serve(now=times.now)
    return Settings.read({**settings.environ, **simulator.settings})
