"""See to it that what a command published is done before the command returns."""

import time
from collections.abc import Callable, Collection, Mapping
from threading import Event, Lock
from typing import TYPE_CHECKING

import click
from skyblend.cli.session import Session

if TYPE_CHECKING:
    from skyblend.runtime.bus import Bus
    from skyblend.runtime.place import Runtime

# How often a command looks whether the pipeline is done, and whether it still runs.
_LOOK_SECONDS = 0.3
# How long a command waits for services elsewhere: above that a message is likely given up.
_ELSEWHERE_SECONDS = 600.0


def settle(
    session: Session,
    runtime: "Runtime",
    *,
    is_done: Callable[[], bool],
    told: Callable[[], object] = lambda: None,
) -> None:
    """Return when `is_done`, or when nothing more will happen to what is on the bus.

    Where `up` runs it delivers, and we wait; where it does not, or dies meanwhile, everything that
    is due is delivered in this process. With Pub/Sub the services do it, and what `is_done` reads
    in storage is waited for ten minutes. `told` is called now and then, for a progress bar.
    """
    if is_elsewhere(runtime.bus):
        _wait(is_done, told)
        return
    from skyblend.runtime.bus.sqlite import local

    pause, bus = Event(), local(runtime.bus)
    while not is_done() and bus.pending():
        told()
        if session.running() is None:
            _deliver(runtime, told)
            return
        pause.wait(_LOOK_SECONDS)


def settle_events(session: Session, runtime: "Runtime", ids: Collection[str] | None = None) -> None:
    """Return when the messages `ids` are done with, None: all that wait. What Pub/Sub has taken it
    delivers by itself, and who published it cannot see when: then at once."""
    if is_elsewhere(runtime.bus):
        return
    from skyblend.runtime.bus.sqlite import local

    bus = local(runtime.bus)
    settle(
        session,
        runtime,
        is_done=lambda: not bus.pending() if ids is None else all(map(bus.is_done, ids)),
    )


def is_elsewhere(bus: "Bus") -> bool:
    """Whether messages are delivered by somebody else than us: Pub/Sub."""
    from skyblend.runtime.bus.sqlite import SqliteBus

    return not isinstance(bus, SqliteBus)


def _wait(is_done: Callable[[], bool], told: Callable[[], object]) -> None:
    pause, end = Event(), time.monotonic() + _ELSEWHERE_SECONDS
    while not is_done():
        told()
        if time.monotonic() >= end:
            click.echo(
                f"not everything is done after {_ELSEWHERE_SECONDS:.0f} s: the services go on with"
                " it; `skyblend dead-letters list` shows what was given up",
                err=True,
            )
            return
        pause.wait(_LOOK_SECONDS)


def _deliver(runtime: "Runtime", told: Callable[[], object]) -> None:
    """Deliver all that is due, here; one at a time, for the sake of the memory."""
    from skyblend.cli.apps import apps, router
    from skyblend.runtime.bus.delivery import Deliverer
    from skyblend.runtime.bus.post import into_wsgi
    from skyblend.runtime.bus.sqlite import local

    post = into_wsgi(router(apps(runtime)))
    alone = Lock()

    def observed(path: str, body: bytes, headers: Mapping[str, str]) -> int:
        with alone:
            status = post(path, body, headers)
            told()
        return status

    Deliverer(local(runtime.bus), observed, token=runtime.token).drain()
