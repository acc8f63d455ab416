"""What a pipeline makes sure of before it starts: that folder and port are its own."""

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from skyblend.runtime.folder import Locked, clear_running, pipeline_lock, prepare
from skyblend.runtime.guards import LOOPBACK
from skyblend.runtime.settings import Misconfigured, Settings

# A command that looks whether a pipeline runs takes its lock for a moment: a start outlasts that.
_TRIES, _REST_SECONDS = 10, 0.1


@contextmanager
def hold(data: Path) -> Iterator[None]:
    """Hold the data folder for one pipeline, and leave no running.json behind; raises Locked."""
    prepare(data)
    with ExitStack() as held:
        _lock(data, held)
        try:
            yield
        finally:
            clear_running(data)


def refuse_open_address(settings: Settings) -> None:
    """What anybody may read is bound to this machine; raises Misconfigured."""
    if settings.host not in LOOPBACK:
        raise Misconfigured(
            f"SKYBLEND_HOST: expected one of {', '.join(sorted(LOOPBACK))}, got {settings.host}: "
            "answers need no credentials, so put a proxy with TLS and credentials in front"
        )


def refuse_taken_port(host: str, port: int) -> None:
    """Raises OSError where another program listens: the server itself would share the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                f"port {port} is taken: stop what listens there, or choose another with --port "
                f"({error.strerror})"
            ) from None


def _lock(data: Path, held: ExitStack) -> None:
    for _ in range(_TRIES):
        with suppress(Locked):
            held.enter_context(pipeline_lock(data))
            return
        time.sleep(_REST_SECONDS)
    held.enter_context(pipeline_lock(data))
