"""Entry of the service: the function `ingest` of functions-framework."""

import functions_framework
from flask import Request, Response, current_app, has_app_context
from skyblend.ingest.service import respond
from skyblend.runtime.entry import misconfigured, serving, watched
from skyblend.runtime.settings import Misconfigured

_runtime = serving("ingest")


@functions_framework.http
def ingest(request: Request) -> Response:
    """Answer a request from what the environment says."""
    try:
        runtime = _runtime()
    except Misconfigured as mistake:
        return Response(*misconfigured(mistake))
    return respond(request, runtime)


if has_app_context():  # functions-framework runs this module within its application
    current_app.wsgi_app = watched(current_app.wsgi_app)  # type: ignore
