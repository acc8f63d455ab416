"""Which half of the data folder `up` runs on, and the simulator behind the simulated one."""

import logging
from collections.abc import Mapping

import click
import requests
from skyblend.cli import times
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime.settings import Settings

_PROBE_SECONDS = 4.0
_SOMEWHERE = Place(id="probe", latitude=52.52, longitude=13.41)


def decide(wish: str | None, environ: Mapping[str, str]) -> Settings:
    """The settings with the half wished for; by default the live one if Open-Meteo answers."""
    realm = "simulated"
    if wish == "simulated":
        shout("as asked for")
    elif (trouble := unreachable(Settings.read(environ))) is None:
        realm = "live"
    elif wish == "live":
        realm = "live"
        click.echo(f"Open-Meteo cannot be reached ({trouble}); it is asked again each minute")
    else:
        shout(f"Open-Meteo cannot be reached ({trouble})")
    return Settings.read({**environ, "SKYBLEND_REALM": realm})


def shout(why: str) -> None:
    """Say so that nobody takes what follows for weather."""
    line = "!" * 78
    click.secho(f"{line}\nSIMULATED, {why}: every number is made up.\n{line}", fg="red", bold=True)


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
