"""Entry module of preprocess: reads the settings once and hands every request to the service."""

import os
from functools import cache

import functions_framework
from flask import Request, Response
from skyblend.preprocess.service import respond
from skyblend.runtime import logs
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings


@cache
def _runtime() -> Runtime:
    settings = Settings.read(os.environ)
    logs.configure(settings.log_level, secret_values=settings.secrets())
    return runtime_for(settings)


@functions_framework.http
def preprocess(request: Request) -> Response:
    """The HTTP function."""
    return respond(request, _runtime())
