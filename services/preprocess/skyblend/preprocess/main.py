"""Entry module of preprocess: reads the settings once and hands every request to the service."""

from functools import cache

import functions_framework
from flask import Request, Response, current_app, has_app_context
from skyblend.preprocess.service import respond
from skyblend.runtime.entry import begin, watched
from skyblend.runtime.place import Runtime, runtime_for


@cache
def _runtime() -> Runtime:
    return runtime_for(begin("preprocess"))


@functions_framework.http
def preprocess(request: Request) -> Response:
    """The HTTP function."""
    return respond(request, _runtime())


if has_app_context():  # functions-framework runs this module within its application
    current_app.wsgi_app = watched(current_app.wsgi_app)  # type: ignore
