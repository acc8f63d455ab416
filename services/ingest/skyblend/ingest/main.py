"""Entry of the service: the function `ingest` of functions-framework."""

import os
from functools import cache

import functions_framework
from flask import Request, Response
from skyblend.ingest.service import respond
from skyblend.runtime import logs
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings


@cache
def _runtime() -> Runtime:
    """The runtime of this process, made at its first request."""
    settings = Settings.read(os.environ)
    logs.configure(settings.log_level, secret_values=settings.secrets())
    return runtime_for(settings)


@functions_framework.http
def ingest(request: Request) -> Response:
    """Answer a request from what the environment says."""
    return respond(request, _runtime())
