"""One log line per request in Cloud Logging's httpRequest, from a thin layer around a service.

Nothing of a request is shown but its method, its path without query, sizes and the first characters
of its User-Agent: no header that could hold a credential, no address of a person.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from skyblend.runtime import contexts, logs, traces

Environ = dict[str, Any]
StartResponse = Callable[..., Any]
Wsgi = Callable[[Environ, StartResponse], Iterable[bytes]]

PROBES = frozenset({"/health", "/ready"})
_LONGEST_PATH, _LONGEST_AGENT = 200, 120
_LOG = logging.getLogger(__name__)


class RequestLog:
    """A WSGI application around another: gives each request the trace that its headers name, and
    writes its line when it is answered. Probes pass silently."""

    def __init__(self, app: Wsgi, *, clock: Callable[[], float] = time.perf_counter) -> None:
        self._app, self._clock = app, clock

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in PROBES:
            return self._app(environ, start_response)
        request = _Request(environ, self._clock)

        def answer(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            request.answered(status, headers)
            return start_response(status, headers, *rest)

        with logs.within(request.context):
            try:
                body = self._app(environ, answer)
            except BaseException:
                request.status = 500
                request.tell()
                raise
            if environ.get("REQUEST_METHOD") == "POST":
                traces.flush_if_due()
            if isinstance(body, list):
                request.sent = sum(map(len, body))
                request.tell()
                return body
        return _Told(body, request)


class _Request:
    """What its line says about a request."""

    def __init__(self, environ: Environ, clock: Callable[[], float]) -> None:
        self._environ, self._clock, self._started = environ, clock, clock()
        self.context = contexts.of_request(lambda name: environ.get(_VARIABLES[name]))
        self.status, self.sent = 0, 0
        self._stated = ""

    def answered(self, status: str, headers: list[tuple[str, str]]) -> None:
        self.status = int(status[:3])
        self._stated = next((v for n, v in headers if n.lower() == "content-length"), "")

    def tell(self) -> None:
        level = logging.INFO if self.status < 400 else logging.WARNING
        level = logging.ERROR if self.status >= 500 else level
        if not _LOG.isEnabledFor(level):
            return
        method = self._environ.get("REQUEST_METHOD", "")[:16]
        path = self._environ.get("PATH_INFO", "")[:_LONGEST_PATH]
        _LOG.log(
            level,
            "%s %s %d",
            method,
            path,
            self.status,
            extra={"httpRequest": self._fields(method, path)},
        )

    def _fields(self, method: str, path: str) -> dict[str, Any]:
        fields = {
            "requestMethod": method,
            "requestUrl": path,
            "requestSize": self._environ.get("CONTENT_LENGTH") or "0",
            "status": self.status,
            "responseSize": self._stated or str(self.sent),
            "latency": f"{self._clock() - self._started:.6f}s",
        }
        if agent := self._environ.get("HTTP_USER_AGENT", ""):
            fields["userAgent"] = agent[:_LONGEST_AGENT]
        return fields


class _Told:
    """The pieces of an answer as they are sent; its line is written when the server closes it."""

    def __init__(self, body: Iterable[bytes], request: _Request) -> None:
        self._body, self._request = body, request

    def __iter__(self) -> Iterator[bytes]:
        for piece in self._body:
            self._request.sent += len(piece)
            yield piece

    def close(self) -> None:
        if close := getattr(self._body, "close", None):
            close()
        with logs.within(self._request.context):
            self._request.tell()


_VARIABLES = {
    "X-Trace": "HTTP_X_TRACE",
    "traceparent": "HTTP_TRACEPARENT",
    "X-Cloud-Trace-Context": "HTTP_X_CLOUD_TRACE_CONTEXT",
}
