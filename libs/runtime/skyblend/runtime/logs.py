"""Logs as JSON lines with the trace id that travels from a tick to its records."""

import json
import logging
import secrets
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST_SECRET = 4
_HIDDEN: set[str] = set()
_TRACE: ContextVar[str] = ContextVar("skyblend_trace", default="")
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def new_trace() -> str:
    """A fresh trace id: 32 hexadecimal digits, as in W3C trace context."""
    return secrets.token_hex(16)


def current_trace() -> str:
    """The trace id of what runs now, empty outside of one."""
    return _TRACE.get()


@contextmanager
def trace(trace_id: str = "") -> Iterator[str]:
    """Everything inside belongs to this trace; an empty id is the one around, else a new one."""
    chosen = trace_id or current_trace() or new_trace()
    reset = _TRACE.set(chosen)
    try:
        yield chosen
    finally:
        _TRACE.reset(reset)


def hide(*secret_values: str) -> None:
    """Mask these values, also in their quoted forms, in every line that this process logs from now
    on. Shorter ones than a credential can be would mask ordinary words and are left."""
    for value in secret_values:
        if len(value) >= SHORTEST_SECRET:
            quoted = json.dumps(value, ensure_ascii=False)[1:-1]
            _HIDDEN.update((value, quoted, quote(value, safe=""), quote_plus(value)))


class JsonLines(logging.Formatter):
    """One JSON object per line: time, severity, message, logger, trace and the fields given as
    `extra`; hidden values masked."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "severity": record.levelname,
            "message": record.getMessage(),
            "logger": record.name,
            "trace": current_trace(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return masked(json.dumps(line, default=str, ensure_ascii=False))


def masked(line: str) -> str:
    """The line without the values that `hide` was told."""
    for value in sorted(_HIDDEN, key=len, reverse=True):
        line = line.replace(value, MASK)
    return line


def configure(
    level: str = "INFO", *, secret_values: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send all logs of this process to `stream` (standard error) as JSON lines, in place of what
    was set up before."""
    hide(*secret_values)
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug lines show whole URLs
