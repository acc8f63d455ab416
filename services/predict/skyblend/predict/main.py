"""The service for a WSGI server: `granian --interface wsgi skyblend.predict.main:app`."""

import os
import threading
from collections.abc import Iterable

from skyblend.predict.serve.app import Environ, StartResponse, Wsgi, create_app
from skyblend.runtime import logs
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings


class App:
    """The application, made from the environment at the first request."""

    def __init__(self) -> None:
        self._made: Wsgi | None = None
        self._making = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if self._made is None:
            with self._making:
                self._made = self._made or _make()
        return self._made(environ, start_response)


def _make() -> Wsgi:
    settings = Settings.read(os.environ)
    logs.configure(settings.log_level, secret_values=settings.secrets())
    return create_app(runtime_for(settings))


app = App()
