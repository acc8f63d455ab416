"""The three services behind one WSGI callable, in one process, on one runtime."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from flask import Flask, Response, request

if TYPE_CHECKING:
    from skyblend.runtime.place import Runtime

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
# Method and path -> service; all that is not named here is predict's.
_ROUTES = {
    ("POST", "/v1/collect"): "ingest",
    ("POST", "/v1/uploads"): "ingest",
    ("POST", "/v1/places"): "ingest",
    ("POST", "/v1/events/collect-task"): "ingest",
    ("POST", "/v1/events/upload-finalized"): "ingest",
    ("POST", "/v1/events/raw-stored"): "preprocess",
    ("POST", "/v1/load"): "preprocess",
}


def apps(runtime: "Runtime") -> dict[str, App]:
    """Each service as a WSGI callable."""
    from skyblend.ingest.service import respond as ingest
    from skyblend.predict.serve.app import create_app
    from skyblend.preprocess.service import respond as preprocess

    return {
        "ingest": _app(ingest, runtime),
        "preprocess": _app(preprocess, runtime),
        "predict": create_app(runtime),
    }


def service_of(method: str, path: str) -> str:
    """The service that answers this method and path."""
    return _ROUTES.get((method, path), "predict")


def router(services: dict[str, App]) -> App:
    """One callable that hands each request to the service whose path it is."""

    def route(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        name = service_of(environ["REQUEST_METHOD"], environ["PATH_INFO"])
        return services[name](environ, start_response)

    return route


def _app(respond: Callable[[Any, "Runtime"], Response], runtime: "Runtime") -> App:
    app = Flask(__name__, static_folder=None)

    @app.route("/", defaults={"path": ""}, methods=_METHODS)
    @app.route("/<path:path>", methods=_METHODS)
    def answer(path: str) -> Response:
        return respond(request, runtime)

    return app
