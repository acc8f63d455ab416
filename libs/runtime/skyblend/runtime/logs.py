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

MASK = "***"
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


class JsonLines(logging.Formatter):
    """One JSON object per line: time, severity, message, logger, trace and the fields given as
    `extra`; secrets masked."""

    def __init__(self, secret_values: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = sorted(filter(None, secret_values), key=len, reverse=True)

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
        return self._masked(json.dumps(line, default=str, ensure_ascii=False))

    def _masked(self, line: str) -> str:
        for value in self._secrets:
            line = line.replace(value, MASK).replace(json.dumps(value)[1:-1], MASK)
        return line


def configure(
    level: str = "INFO", *, secret_values: Iterable[str] = (), stream: TextIO | None = None
) -> None:
    """Send all logs of this process to `stream` (standard error) as JSON lines, in place of what
    was set up before."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines(secret_values))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    logging.getLogger("urllib3").setLevel(logging.WARNING)  # its debug lines show whole URLs
