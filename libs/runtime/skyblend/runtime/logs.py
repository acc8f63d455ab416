"""Logs as JSON lines with the trace id that travels from a tick to its records."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, TextIO
from urllib.parse import quote, quote_plus

from skyblend.runtime.contexts import Context, new_trace, parse

__all__ = ["configure", "current", "current_trace", "hide", "new_trace", "trace", "within"]

MASK = "***"
SHORTEST_SECRET = 4
_HIDDEN: set[str] = set()
_longest_first: tuple[str, ...] = ()
as_json = json.JSONEncoder(default=str, ensure_ascii=False).encode
_NONE = Context()
_TRACE: ContextVar[Context] = ContextVar("skyblend_trace", default=_NONE)
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def current_trace() -> str:
    """The trace id of what runs now, empty outside of one."""
    return _TRACE.get().trace


def current() -> Context:
    """The trace of what runs now with its span; what is published carries it on."""
    return _TRACE.get()


@contextmanager
def trace(given: str = "") -> Iterator[str]:
    """Everything inside belongs to this trace, given as its id or as a traceparent; an empty one is
    the one around, else a new one. Gives the id."""
    chosen = parse(given) if given else current()
    with within(chosen if chosen.trace else Context(new_trace())) as context:
        yield context.trace


@contextmanager
def within(context: Context) -> Iterator[Context]:
    """Everything inside belongs to this trace and span."""
    reset = _TRACE.set(context)
    try:
        yield context
    finally:
        _TRACE.reset(reset)


def hide(*secret_values: str) -> None:
    """Mask these values, also in their quoted forms, in every line that this process logs from now
    on. Shorter ones than a credential can be would mask ordinary words and are left."""
    global _longest_first  # noqa: PLW0603 - replaced whole, so that no line is masked by half
    for value in secret_values:
        if len(value) >= SHORTEST_SECRET:
            quoted = json.dumps(value, ensure_ascii=False)[1:-1]
            _HIDDEN.update((value, quoted, quote(value, safe=""), quote_plus(value)))
    _longest_first = tuple(sorted(_HIDDEN, key=len, reverse=True))


class JsonLines(logging.Formatter):
    """One JSON object per line: time, severity, message, logger, trace and the fields given as
    `extra`; hidden values masked."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": written(record.created),
            "severity": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "trace": current_trace(),
        }
        line |= extras(record)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return masked(as_json(line))


def written(seconds: float) -> str:
    """A time of a record as RFC 3339, UTC."""
    moment = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return moment.replace("+00:00", "Z")


def extras(record: logging.LogRecord) -> dict[str, Any]:
    """The fields that were given as `extra`."""
    return {name: value for name, value in vars(record).items() if name not in _STANDARD}


def masked(line: str) -> str:
    """The line without the values that `hide` was told."""
    for value in _longest_first:
        line = line.replace(value, MASK)
    return line


def configure(
    level: str = "INFO",
    *,
    secret_values: Iterable[str] = (),
    stream: TextIO | None = None,
    lines: logging.Formatter | None = None,
) -> None:
    """Send all logs of this process to `stream` (standard error) as JSON lines, in place of what
    was set up before; `lines` makes them."""
    hide(*secret_values)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(lines or JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug lines show whole URLs
