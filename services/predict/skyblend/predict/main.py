"""The service for a WSGI server: `granian --interface wsgi skyblend.predict.main:app`."""

import os
import threading
from collections.abc import Callable, Iterable
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
        if self._made is None:
            with self._making:
                self._made = self._made or _make()
        return self._made(environ, start_response)


def _make() -> Wsgi:
    # A forecast is a few hundred numbers: threads of BLAS would only cost a fifth of the start.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from skyblend.predict.serve.app import create_app  # noqa: PLC0415 - imports NumPy
    from skyblend.runtime.entry import begin, watched  # noqa: PLC0415
    from skyblend.runtime.lifeline import tie  # noqa: PLC0415
    from skyblend.runtime.place import runtime_for  # noqa: PLC0415

    tie(os.getppid())  # a worker whose supervisor was killed would go on serving beside the next
    return watched(create_app(runtime_for(begin("serve"))))


app = App()
