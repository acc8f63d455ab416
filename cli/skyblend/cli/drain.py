"""See to it that what a command published is done before the command returns."""

from collections.abc import Callable, Mapping
from threading import Event, Lock
from typing import TYPE_CHECKING

from skyblend.cli.session import Session

if TYPE_CHECKING:
    from skyblend.runtime.place import Runtime

# How often a command looks whether the pipeline is done, and whether it still runs.
_LOOK_SECONDS = 0.3


def settle(
    session: Session,
    runtime: "Runtime",
    *,
    is_done: Callable[[], bool],
    told: Callable[[], object] = lambda: None,
) -> None:
    """Return when `is_done`, or when nothing more will happen to what is on the bus.

    Where `up` runs it delivers, and we wait; where it does not, or dies meanwhile, everything that
    is due is delivered in this process. `told` is called now and then, for a progress bar.
    """
    from skyblend.runtime.bus.sqlite import local

    pause, bus = Event(), local(runtime.bus)
    while not is_done() and bus.pending():
        told()
        if session.running() is None:
            _deliver(runtime, told)
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
