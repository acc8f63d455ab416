"""The service for granian: `granian --interface wsgi --factory skyblend.predict.main:create`."""

import os
import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class App:
    """The application, made from the environment at the first request."""

    def __init__(self) -> None:
        self._made: Wsgi | None = None
        self._making = threading.Lock()

    def __call__(
        self, environ: dict[str, Any], start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        return (self._made or self._first())(environ, start_response)

    def _first(self) -> Wsgi:
        """The application; while the settings cannot be used, one that says so."""
        from skyblend.runtime.entry import misconfigured  # noqa: PLC0415
        from skyblend.runtime.settings import Misconfigured  # noqa: PLC0415

        with self._making:
            try:
                self._made = self._made or _make()
            except Misconfigured as mistake:
                return _refusing(*misconfigured(mistake))
            return self._made


def create() -> App:
    """The application of one worker, which ends with its supervisor from the first moment on: left
    alone it would go on serving, on the same port as the next."""
    from skyblend.runtime.lifeline import tie  # noqa: PLC0415

    tie(os.getppid())
    return App()


def _make() -> Wsgi:
    # A forecast is a few hundred numbers: threads of BLAS would only cost a fifth of the start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from skyblend.predict.serve.app import create_app  # noqa: PLC0415 - imports NumPy
    from skyblend.runtime.entry import begin, watched  # noqa: PLC0415
    from skyblend.runtime.place import runtime_for  # noqa: PLC0415

    return watched(create_app(runtime_for(begin("serve"))))


def _refusing(body: bytes, status: int, headers: dict[str, str]) -> Wsgi:
    def answer(_: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        start_response(f"{status} {HTTPStatus(status).phrase}", [*headers.items()])
        return [body]

    return answer
