"""The simulator behind HTTP: Open-Meteo's three hosts as three folders of one local server."""

import logging
from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Thread
from typing import TYPE_CHECKING, NamedTuple

from skyblend.simulator.atmosphere import Atmosphere
from skyblend.simulator.open_meteo import answer
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.wrappers import Request, Response

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

_LOG = logging.getLogger(__name__)
_ENDPOINTS = {
    "/forecast/v1/forecast": "forecast",
    "/previous-runs/v1/forecast": "previous_runs",
    "/archive/v1/archive": "archive",
}
_SETTINGS = {
    "forecast": "SKYBLEND_OPEN_METEO_FORECAST_URL",
    "previous_runs": "SKYBLEND_OPEN_METEO_PREVIOUS_RUNS_URL",
    "archive": "SKYBLEND_OPEN_METEO_ARCHIVE_URL",
}


class Simulator(NamedTuple):
    """A running simulator: its base address, and how to stop it."""

    url: str
    stop: Callable[[], None]

    @property
    def settings(self) -> dict[str, str]:
        """The settings that point the sources at it."""
        return simulator_settings(self.url)


def simulator_settings(url: str) -> dict[str, str]:
    """The settings that point the sources at the simulator at a base address."""
    return {_SETTINGS[endpoint]: f"{url}{path}" for path, endpoint in _ENDPOINTS.items()}


def serve(port: int = 0, *, now: Callable[[], datetime], seed: int = 0) -> Simulator:
    """Serve a simulated atmosphere on 127.0.0.1 from a thread; port 0 takes a free one.

    `now` is the clock of the simulated providers.
    """
    server = make_server(
        "127.0.0.1",
        port,
        _app(Atmosphere(seed), now),
        threaded=True,
        request_handler=_Quiet,
    )
    thread = Thread(target=server.serve_forever, name="simulator", daemon=True)
    thread.start()

    def stop() -> None:
        server.shutdown()
        thread.join()
        server.server_close()

    return Simulator(f"http://127.0.0.1:{server.server_port}", stop)


def _app(
    atmosphere: Atmosphere, now: Callable[[], datetime]
) -> Callable[["WSGIEnvironment", "StartResponse"], Iterable[bytes]]:
    def respond(environ: "WSGIEnvironment", start: "StartResponse") -> Iterable[bytes]:
        request = Request(environ)
        endpoint = _ENDPOINTS.get(request.path)
        if endpoint is None:
            return Response("Not Found", 404)(environ, start)
        params = {name: ",".join(values) for name, values in request.args.lists()}
        status, body = answer(atmosphere, endpoint, params, now=now())
        response = Response(body, status, content_type="application/json; charset=utf-8")
        return response(environ, start)

    return respond


class _Quiet(WSGIRequestHandler):
    """Requests go to the log of this module at the level of details, not to standard error."""

    def log(self, type: str, message: str, *args: object) -> None:
        _LOG.debug(message, *args)
