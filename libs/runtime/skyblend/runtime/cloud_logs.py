"""Logs in the fields that Cloud Logging and Error Reporting read, one JSON object per line on
standard error. Used where Cloud Run runs us; anywhere else lines are those of `logs.JsonLines`."""

import logging
import os
import sys
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from skyblend.runtime import logs

ERROR_EVENT = "type.googleapis.com/google.devtools.clouderrorreporting.v1beta1.ReportedErrorEvent"
LONGEST_TEXT = 60_000  # characters of a message or a stack; an entry holds 256 KB
_PREFIX = "logging.googleapis.com/"
_SERVERS = ("gunicorn.error", "gunicorn.access", "_granian", "granian.access")
_LEVELS = ((50, "CRITICAL"), (40, "ERROR"), (30, "WARNING"), (20, "INFO"), (0, "DEBUG"))
_LOG = logging.getLogger(__name__)


def is_google(environ: Mapping[str, str]) -> bool:
    """Whether Cloud Run runs this process, as a service or as a job."""
    return bool(environ.get("K_SERVICE") or environ.get("CLOUD_RUN_JOB"))


class CloudLines(logging.Formatter):
    """One JSON object per line in Cloud Logging's fields; an error with an exception is an event of
    Error Reporting, under the service's name and revision."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        super().__init__()
        self._project = environ.get("SKYBLEND_PROJECT", "")
        self._service = {
            "service": environ.get("K_SERVICE") or environ.get("CLOUD_RUN_JOB") or "skyblend",
            "version": environ.get("K_REVISION") or environ.get("CLOUD_RUN_EXECUTION") or "unknown",
        }

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "severity": next(name for least, name in _LEVELS if record.levelno >= least),
            "message": bounded(record.getMessage()),
            "time": logs.written(record.created),
            "logger": record.name,
            **self._trace(),
            f"{_PREFIX}sourceLocation": {
                "file": record.pathname.rpartition("/site-packages/")[2],
                "line": str(record.lineno),
                "function": record.funcName or "",
            },
        }
        line |= logs.extras(record)
        if record.exc_info:
            line |= self._stack(record.levelno, self.formatException(record.exc_info))
        return logs.masked(logs.as_json(line))

    def _trace(self) -> dict[str, Any]:
        """Cloud Logging links a line to its trace by the trace's full name."""
        context = logs.current()
        if not (self._project and context.is_w3c):
            return {"trace": context.trace} if context.trace else {}
        found: dict[str, Any] = {
            f"{_PREFIX}trace": f"projects/{self._project}/traces/{context.trace}"
        }
        if context.span:
            found |= {
                f"{_PREFIX}spanId": context.span,
                f"{_PREFIX}trace_sampled": context.is_sampled,
            }
        return found

    def _stack(self, level: int, stack: str) -> dict[str, Any]:
        if level < logging.ERROR:
            return {"stack_trace": bounded(stack)}
        return {
            "stack_trace": bounded(stack),
            "@type": ERROR_EVENT,
            "serviceContext": self._service,
        }


def server_lines() -> logging.Formatter:
    """What makes granian's lines (granian.json names it)."""
    plain = logging.Formatter("[%(levelname)s] %(message)s")
    return CloudLines(os.environ) if is_google(os.environ) else plain


def bounded(text: str) -> str:
    """A text that an entry can hold: of a longer one the begin and the end."""
    if len(text) <= LONGEST_TEXT:
        return text
    half = LONGEST_TEXT // 2
    return f"{text[:half]}\n... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"


def adopt() -> None:
    """Send what goes past our logs through them: lines of the web server in this process, warnings
    of Python, and what nobody caught."""
    for name in _SERVERS:
        server = logging.getLogger(name)
        server.handlers.clear()
        server.propagate = True
    logging.captureWarnings(capture=True)
    sys.excepthook = _uncaught
    threading.excepthook = _uncaught_in_thread


def _uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
    else:
        _LOG.critical("ended by %s", kind.__name__, exc_info=(kind, error, trace))


def _uncaught_in_thread(caught: threading.ExceptHookArgs) -> None:
    if caught.exc_value is not None:
        where = caught.thread.name if caught.thread else "a thread"
        told = (caught.exc_type, caught.exc_value, caught.exc_traceback)
        _LOG.error("%s ended by %s", where, caught.exc_type.__name__, exc_info=told)
