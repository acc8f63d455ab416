"""Entry module of preprocess: reads the settings once and hands every request to the service."""

import functions_framework
from flask import Request, Response, current_app, has_app_context
from skyblend.preprocess.service import respond
from skyblend.runtime.entry import misconfigured, serving, watched
from skyblend.runtime.settings import Misconfigured

_runtime = serving("preprocess")


@functions_framework.http
def preprocess(request: Request) -> Response:
    """The HTTP function."""
    try:
        runtime = _runtime()
    except Misconfigured as mistake:
        return Response(*misconfigured(mistake))
    return respond(request, runtime)


if has_app_context():  # functions-framework runs this module within its application
    current_app.wsgi_app = watched(current_app.wsgi_app)  # type: ignore
