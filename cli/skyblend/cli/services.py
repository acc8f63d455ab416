"""`skyblend services`: ingest, preprocess and predict as three processes with one bus.

Ingest and preprocess run behind functions-framework on gunicorn, predict behind granian, with the
options of their images; this process keeps the schedule, delivers the bus's messages over HTTP
(Pub/Sub's emulator does that by itself) and starts again what died. Each writes its log to a file.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from threading import Event
from typing import TYPE_CHECKING

import click
from skyblend.cli import child, defaults, times
from skyblend.cli.session import Session, pass_session
from skyblend.runtime.folder import Running, write_running
from skyblend.runtime.guards import address, bracketed
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import PUBSUB, SQLITE, Settings

if TYPE_CHECKING:
    from skyblend.cli.local_pubsub import LocalPubsub
    from skyblend.cli.schedule import Schedule

_LOOK_SECONDS = 0.5
_STOP_SECONDS = 10.0
# As in cloudbuild/Dockerfile, but for what needs Linux or is for Cloud Run.
GUNICORN = (
    *("--worker-class", "skyblend.runtime.draining.DrainingWorker"),
    *("--timeout", "0", "--graceful-timeout", "9", "--no-control-socket", "--log-level", "error"),
)
GRANIAN = (
    *("--interface", "wsgi", "--no-ws", "--blocking-threads", "4"),
    *("--workers-kill-timeout", "9"),
)
_THREADS = "8"


@dataclass(frozen=True, slots=True)
class Service:
    """One process: its name, port, and the module with arguments that runs it."""

    name: str
    port: int
    module: str
    arguments: tuple[str, ...]


@click.command()
@click.option("--live", "realm", flag_value="live", help="Ask the providers, reachable or not.")
@click.option("--simulate", "realm", flag_value="simulated", help="Use the built-in simulator.")
@click.option(
    "--port",
    type=click.IntRange(1, 65533),
    default=8081,
    show_default=True,
    help="The first of three ports: ingest, preprocess, predict.",
)
@click.option(
    "--bus",
    "kind",
    type=click.Choice([SQLITE, PUBSUB]),
    default=SQLITE,
    show_default=True,
    help="What carries events: a file, or Google's Pub/Sub emulator.",
)
@pass_session
def services(session: Session, *, realm: str | None, port: int, kind: str) -> None:
    """Run the three services as three processes with one bus, on three ports.

    The same pipeline as `skyblend up`, arranged as in the cloud: the bus pushes events over HTTP.
    With --bus pubsub it is Google's Pub/Sub emulator: the one that PUBSUB_EMULATOR_HOST names, else
    one that is started from the Cloud SDK. It signs no pushes, so the services ask for no token
    then; they listen on this machine only.
    """
    from skyblend.cli.hold import hold, refuse_open_address, refuse_taken_port
    from skyblend.cli.local_pubsub import local_pubsub
    from skyblend.cli.simulation import decide, with_simulator

    signal.signal(signal.SIGTERM, _leave)
    wish = realm or session.wish
    with hold(session.data), local_pubsub() if kind == PUBSUB else nullcontext() as pubsub:
        environ = session.environ()
        environ |= pubsub.environ(environ) if pubsub else {"SKYBLEND_BUS": SQLITE}
        settings = decide(wish, environ)
        refuse_open_address(settings)
        for number in range(3):
            refuse_taken_port(settings.host, port + number)
        if settings.is_simulated:
            settings = with_simulator(settings)
        run(settings, first_port=port, pubsub=pubsub)


def run(settings: Settings, *, first_port: int, pubsub: "LocalPubsub | None" = None) -> None:
    """Keep the services running until a signal says stop."""
    from skyblend.cli.log_files import log_to_file

    log_to_file(settings)
    runtime = runtime_for(settings)
    defaults.add_if_new(runtime.storage)
    chosen = table(settings.host, first_port)
    endpoint = _endpoints(settings.host, chosen)
    if pubsub:
        pubsub.subscribe(settings, endpoint)
    stop = _stopped_by_signals()
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for one in chosen:
            running[one.name] = _start(one, settings)
        _announce(settings, chosen, pubsub)
        schedule = _schedule(runtime, endpoint, stop)
        while not stop.wait(_LOOK_SECONDS):
            for one in chosen:
                if (code := running[one.name].poll()) is not None:
                    click.echo(f"{one.name} ended with {code}, its log may tell why: again")
                    running[one.name] = _start(one, settings)
            if pubsub and pubsub.revive():
                pubsub.subscribe(settings, endpoint)
                schedule.repeat_lost()
    finally:
        _end(running)


def table(host: str, first_port: int) -> tuple[Service, ...]:
    """The services with their ports."""
    return (
        _function("ingest", host, first_port),
        _function("preprocess", host, first_port + 1),
        Service(
            "predict",
            first_port + 2,
            "granian",
            (
                *(*GRANIAN, "--log-level", "error", "--host", host),
                *("--port", str(first_port + 2), "--factory", "skyblend.predict.main:create"),
            ),
        ),
    )


def _function(name: str, host: str, port: int) -> Service:
    found = find_spec(f"skyblend.{name}.main")
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"skyblend.{name}.main is not installed")
    app = f"functions_framework:create_app({name!r}, {found.origin!r})"
    bound = ("--threads", _THREADS, "--bind", f"{bracketed(host)}:{port}")
    return Service(name, port, "gunicorn", (*GUNICORN, *bound, app))


def _start(service: Service, settings: Settings) -> "subprocess.Popen[bytes]":
    from skyblend.cli.log_files import log_file

    log = log_file(settings, service.name)
    return child.start(service.module, *service.arguments, environ=settings.environ, output=log)


def _endpoints(host: str, chosen: tuple[Service, ...]) -> Callable[[str], str]:
    """The URL of a path that is posted to: each has its service."""
    from skyblend.cli.apps import service_of

    ports = {one.name: one.port for one in chosen}
    return lambda path: address(host, ports[service_of("POST", path)]) + path


def _schedule(runtime: Runtime, endpoint: Callable[[str], str], stop: Event) -> "Schedule":
    from skyblend.cli.progress import Progress
    from skyblend.cli.schedule import Schedule
    from skyblend.runtime.bus.post import over_http

    schedule = Schedule(runtime, over_http(endpoint), stop=stop)
    schedule.start()
    page = endpoint("/v1/issue").removesuffix("/v1/issue")
    Progress(runtime, schedule, address=page).start()
    return schedule


def _announce(
    settings: Settings, chosen: tuple[Service, ...], pubsub: "LocalPubsub | None"
) -> None:
    for one in chosen:
        click.echo(f"{one.name:<12} {address(settings.host, one.port)}")
    if pubsub:
        click.echo(f"{'pubsub':<12} emulator on {pubsub.address}")
    click.echo(f"{'logs':<12} {settings.root / 'logs'}, a file for each")
    write_running(
        settings.data,
        Running(
            pid=os.getpid(),
            address=address(settings.host, chosen[-1].port),
            realm=settings.realm,
            started_at=times.text(times.now()),
            environ=pubsub.environ(settings.environ) if pubsub else {},
        ),
    )


def _leave(number: int, _: object) -> None:
    """End before all has started: what has started ends with its block."""
    raise SystemExit(128 + number)


def _stopped_by_signals() -> Event:
    stop = Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _end(running: "Mapping[str, subprocess.Popen[bytes]]") -> None:
    for process in running.values():
        process.terminate()
    for process in running.values():
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
