"""The service as one WSGI callable: prepared answers of `GET /v1/forecast` in front, everything
else in Flask.

Flask is imported when the first other request comes, so that a start costs no more than the first
forecast needs.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

import orjson
from google.protobuf.message import DecodeError
from skyblend.predict.serve.forecasts import Answer, Forecasts
from skyblend.predict.serve.security import SECURITY
from skyblend.runtime.guards import check_read, problem
from skyblend.runtime.metrics import REQUESTS
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import StorageError

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

FORECAST: Final = "/v1/forecast"
JSON: Final = "application/json; charset=utf-8"
_LOG = logging.getLogger(__name__)


def utc_now() -> datetime:
    """Our clock."""
    return datetime.now(UTC)


def create_app(
    runtime: Runtime,
    *,
    now: Callable[[], datetime] = utc_now,
    clock: Callable[[], float] = time.monotonic,
) -> Wsgi:
    """The service on a runtime; `now` is the time of day, `clock` monotonic seconds."""
    forecasts = Forecasts(
        runtime.storage, nearest_km=runtime.settings.nearest_km, now=now, clock=clock
    )
    return Front(runtime, forecasts, now)


class Front:
    """Answers forecasts itself and hands on the rest. The guards are those of every endpoint."""

    def __init__(self, runtime: Runtime, forecasts: Forecasts, now: Callable[[], datetime]) -> None:
        self._runtime, self._forecasts, self._now = runtime, forecasts, now
        self._allowed = frozenset(runtime.settings.allowed_hosts)
        self._counts = {
            status: REQUESTS.labels("predict", FORECAST, str(int(status)))
            for status in (*_LINES, HTTPStatus.NOT_MODIFIED)
        }
        self._flask: Wsgi | None = None
        self._starting = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != FORECAST:
            return self._rest()(environ, start_response)
        host, access = environ.get("HTTP_HOST", ""), self._runtime.access
        if (refusal := check_read(host, access=access, allowed=self._allowed)) is not None:
            body, status, headers = problem(refusal)
            return _send(start_response, HTTPStatus(status), body, [*headers.items()])
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _error(
                start_response, HTTPStatus.METHOD_NOT_ALLOWED, "only GET is answered here"
            )
        return self._forecast(environ, start_response)

    def _forecast(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            answer = self._forecasts.get(environ.get("QUERY_STRING", ""))
        except (StorageError, DecodeError, OSError):
            _LOG.exception("a forecast could not be read")
            return _error(
                start_response, HTTPStatus.INTERNAL_SERVER_ERROR, "the forecast could not be read"
            )
        if answer.etag in environ.get("HTTP_IF_NONE_MATCH", "") and answer.status == HTTPStatus.OK:
            self._counts[HTTPStatus.NOT_MODIFIED].inc()
            start_response("304 Not Modified", [("ETag", answer.etag), *SECURITY])
            return []
        self._counts[answer.status].inc()
        start_response(_LINES[answer.status], _headers(answer))
        return [answer.body] if environ["REQUEST_METHOD"] == "GET" else []

    def _rest(self) -> Wsgi:
        """The Flask application, made at its first request."""
        if self._flask is None:
            with self._starting:
                if self._flask is None:
                    from skyblend.predict.serve.routes import flask_app  # noqa: PLC0415 - heavy

                    self._flask = flask_app(self._runtime, self._forecasts, self._now)
        return self._flask


_LINES: Final = {
    status: f"{status.value} {status.phrase}"
    for status in (
        HTTPStatus.OK,
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.NOT_FOUND,
        HTTPStatus.SERVICE_UNAVAILABLE,
    )
}


def _headers(answer: Answer) -> list[tuple[str, str]]:
    headers = [
        ("Content-Type", JSON),
        ("Content-Length", str(len(answer.body))),
        ("Cache-Control", "no-cache"),
        *SECURITY,
    ]
    return [*headers, ("ETag", answer.etag)] if answer.status == HTTPStatus.OK else headers


def _error(start_response: StartResponse, status: HTTPStatus, reason: str) -> list[bytes]:
    """An error in Open-Meteo's shape."""
    body = orjson.dumps({"error": True, "reason": reason})
    return _send(start_response, status, body, [("Content-Type", JSON)])


def _send(
    start_response: StartResponse,
    status: HTTPStatus,
    body: bytes,
    headers: list[tuple[str, str]],
) -> list[bytes]:
    allow = [("Allow", "GET, HEAD")] if status == HTTPStatus.METHOD_NOT_ALLOWED else []
    length = ("Content-Length", str(len(body)))
    start_response(f"{status.value} {status.phrase}", [*headers, length, *allow, *SECURITY])
    return [body]
