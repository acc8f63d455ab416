"""Entry of the service: the function `ingest` of functions-framework."""

from functools import cache

import functions_framework
from flask import Request, Response, current_app, has_app_context
from skyblend.ingest.service import respond
from skyblend.runtime.entry import begin, watched
from skyblend.runtime.place import Runtime, runtime_for


@cache
def _runtime() -> Runtime:
    """The runtime of this process, made at its first request."""
    return runtime_for(begin("ingest"))


@functions_framework.http
def ingest(request: Request) -> Response:
    """Answer a request from what the environment says."""
    return respond(request, _runtime())


if has_app_context():  # functions-framework runs this module within its application
    current_app.wsgi_app = watched(current_app.wsgi_app)  # type: ignore
