"""What an entry module does before anything else: logs as the place reads them, then the settings,
then traces. Settings that cannot be used are told in the logs' own form."""

import logging
import os
import threading
from collections.abc import Callable, Mapping
from functools import cache
from http import HTTPStatus
from typing import TYPE_CHECKING, TypeVar

from skyblend.runtime import cloud_logs, logs, traces
from skyblend.runtime.guards import Refusal, problem
from skyblend.runtime.requests_log import RequestLog, Wsgi
from skyblend.runtime.settings import Misconfigured, Settings

if TYPE_CHECKING:
    from skyblend.runtime.place import Runtime

_Made = TypeVar("_Made")
_LOG = logging.getLogger(__name__)


def begin(service: str, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process; raises Misconfigured."""
    lines = cloud_logs.CloudLines(environ) if cloud_logs.is_google(environ) else None
    logs.configure(lines=lines)
    if lines:
        cloud_logs.adopt()
    settings = Settings.read(environ)
    logs.configure(settings.log_level, secret_values=settings.secrets(), lines=lines)
    traces.begin(settings, service=service)
    return settings


def first(make: Callable[[], _Made]) -> Callable[[], _Made]:
    """What gives the one thing that `make` makes at the first call, also where two first requests
    come side by side; where it fails, the next call tries again."""
    made: list[_Made] = []
    making = threading.Lock()

    def get() -> _Made:
        if not made:
            with making:
                if not made:
                    made.append(make())
        return made[0]

    return get


def serving(service: str) -> "Callable[[], Runtime]":
    """What gives the runtime of this process, made at its first request."""
    from skyblend.runtime.place import runtime_for  # noqa: PLC0415 - not needed to begin

    return first(lambda: runtime_for(begin(service)))


def misconfigured(mistake: Misconfigured) -> tuple[bytes, int, dict[str, str]]:
    """What every request is answered while the settings cannot be used; which ones is told in the
    log, once, and to nobody else."""
    _tell(str(mistake))
    refusal = Refusal(
        HTTPStatus.SERVICE_UNAVAILABLE, "misconfigured", "the settings cannot be used: see the log"
    )
    return problem(refusal)


@cache
def _tell(mistake: str) -> None:
    _LOG.error("%s", mistake)


def watched(app: Wsgi, *, environ: Mapping[str, str] = os.environ) -> Wsgi:
    """The application with a log line per request where Cloud Run runs us, else as it is."""
    return RequestLog(app) if cloud_logs.is_google(environ) else app
