"""`skyblend up`: the whole pipeline on this machine, behind one port.

Two processes: this one supervises, a worker serves and runs the pipeline's threads. Either may be
killed at any moment: a dead worker is started again, and a worker whose supervisor died ends too.
"""

import os
from functools import partial
from typing import TYPE_CHECKING

import click
from skyblend.cli import times
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.runtime.settings import Settings

_STOP_SECONDS = 10
# Requests answered at a time; more would only wait for each other.
_THREADS = 8


@click.command()
@click.option("--live", "realm", flag_value="live", help="Ask the providers, reachable or not.")
@click.option("--simulate", "realm", flag_value="simulated", help="Use the built-in simulator.")
@click.option("--port", type=click.IntRange(1, 65535), help="Default: SKYBLEND_PORT, else 8080.")
@pass_session
def up(session: Session, *, realm: str | None, port: int | None) -> None:
    """Run the whole pipeline on this machine, behind one port.

    Asks Open-Meteo for your places (five cities in a new data folder), takes in past forecasts and
    observations, trains, issues a forecast each hour and serves it, with a page, on
    http://127.0.0.1:8080.

    Where no provider can be reached at start it says so loudly, and runs on the built-in simulator,
    whose data is kept apart: upload and places beside it then work there too, unless you say
    `skyblend --live upload`. A folder that holds live forecasts already goes on with them instead,
    older and older, and asks the providers each minute. --live, --simulate and SKYBLEND_REALM
    decide otherwise.

    Stop it with Ctrl-C. It can be killed at any moment and goes on where it was. Other commands
    may run beside it on the same folder. Logs: DATA/live/logs/up.jsonl (or DATA/simulated/...).
    """
    from skyblend.cli.hold import hold, refuse_open_address, refuse_taken_port
    from skyblend.cli.simulation import decide

    wish = realm or session.wish
    with hold(session.data):
        settings = decide(wish, session.environ() | _port(port))
        refuse_open_address(settings)
        refuse_taken_port(settings.host, settings.port)
        _serve(settings)


def _port(port: int | None) -> dict[str, str]:
    return {} if port is None else {"SKYBLEND_PORT": str(port)}


def _serve(settings: "Settings") -> None:
    """Supervise the worker until a signal says stop."""
    from granian.constants import HTTPModes, Interfaces
    from granian.log import LogLevels
    from granian.server import MPServer
    from skyblend.cli.worker import load
    from skyblend.runtime.folder import Running, write_running
    from skyblend.runtime.guards import address

    url = address(settings.host, settings.port)
    click.echo(f"Skyblend on {settings.root}, logs in {settings.root / 'logs'}")
    os.environ |= settings.environ
    running = Running(
        pid=os.getpid(), address=url, realm=settings.realm, started_at=times.text(times.now())
    )
    write_running(settings.data, running)
    MPServer(
        "skyblend",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.WSGI,
        http=HTTPModes.http1,
        blocking_threads=_THREADS,
        websockets=False,
        log_level=LogLevels.error,
        respawn_failed_workers=True,
        workers_kill_timeout=_STOP_SECONDS,
    ).serve(target_loader=partial(load, os.getpid()), wrap_loader=False)
