"""Spans of the work from a tick to its records and forecasts, for OpenTelemetry.

Off unless SKYBLEND_TRACES says where they go; then nothing of OpenTelemetry is imported and a span
costs next to nothing. A span continues what `logs` knows to be the trace around, so a log line, a
message on the bus and a span of one piece of work show one trace id. The answers to GET make none.

Spans are sent in batches by a thread. Where Cloud Run gives CPU only during a request, that thread
may rest for long: a POST sends what is there before it is answered, at most once in DUE_SECONDS and
for at most FLUSH_SECONDS, and the end of the process sends the rest. What cannot be sent is
dropped.
"""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Literal, Protocol

from skyblend.runtime.settings import Misconfigured

if TYPE_CHECKING:
    from skyblend.runtime.settings import Settings

DUE_SECONDS = 5.0
FLUSH_SECONDS = 2.0
Kind = Literal["internal", "client", "producer", "consumer"]
Fact = str | int | float | bool


class Span(Protocol):
    """What is being recorded."""

    def note(self, **facts: Fact) -> None:
        """Add what is known by now; few facts, of few values, never a secret."""
        ...


class Recorder(Protocol):
    """Records and sends spans."""

    def span(self, name: str, kind: Kind, facts: dict[str, Fact]) -> AbstractContextManager[Span]:
        """The work inside, as a child of the trace around."""
        ...

    def flush(self, seconds: float, *, unless_within: float = 0.0) -> None:
        """Send what is there and wait for it at most so long; nothing where the last flush was
        less than `unless_within` seconds ago."""
        ...

    def end(self) -> None:
        """Send what is there and stop."""
        ...


class _Unrecorded:
    """A span where traces are off."""

    def note(self, **facts: Fact) -> None:
        pass


_recorder: Recorder | None = None
_UNRECORDED = _Unrecorded()
_beginning = threading.Lock()  # first requests may come side by side


@contextmanager
def span(name: str, *, kind: Kind = "internal", **facts: Fact) -> Iterator[Span]:
    """The work inside as one span; what it raises marks it as failed and is raised on."""
    if (recorder := _recorder) is None:
        yield _UNRECORDED
        return
    with recorder.span(name, kind, facts) as recorded:
        yield recorded


def begin(settings: "Settings", *, service: str) -> None:
    """Record from now on where SKYBLEND_TRACES asks for it, until `end` or the end of the process.
    Raises Misconfigured for an address that cannot be used."""
    if settings.traces:
        with _beginning:
            _begin(settings, service)


def _begin(settings: "Settings", service: str) -> None:
    global _recorder  # noqa: PLW0603 - one per process, as logging
    if _recorder is None:
        from multiprocessing import util  # noqa: PLC0415

        try:
            from skyblend.runtime.otlp import OtlpRecorder  # noqa: PLC0415 - heavy, only where asked
        except ModuleNotFoundError as error:
            raise Misconfigured(
                f"SKYBLEND_TRACES is set, but {error.name} is not installed: it comes with the"
                " extra `traces` of skyblend-runtime"
            ) from None
        _recorder = OtlpRecorder.to(settings, service=service)
        # As atexit, which does not run in the worker that granian forks.
        util.Finalize(None, end, exitpriority=0)


def flush_if_due() -> None:
    """Send what is there, where it was not sent of late."""
    if (recorder := _recorder) is not None:
        recorder.flush(FLUSH_SECONDS, unless_within=DUE_SECONDS)


def end() -> None:
    """Send what is there and record no more."""
    global _recorder
    ending, _recorder = _recorder, None
    if ending is not None:
        ending.end()
