"""The requests of preprocess: the push endpoint, and what tells how it is."""

import io
import json
import logging
from dataclasses import asdict
from datetime import UTC, datetime
from http import HTTPStatus
from typing import BinaryIO, cast

from flask import Request, Response
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import guards, health, logs, metrics, names
from skyblend.runtime.bus import ROUTES, push
from skyblend.runtime.logs import trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import StorageError
from skyblend.runtime.tables import TablesError

LOG = logging.getLogger(__name__)
PUSH = ROUTES["RawStored"]
LOAD = "/v1/load"
_LARGEST_PUSH = 1 << 20  # bytes


def respond(request: Request, runtime: Runtime) -> Response:
    """The answer to a request: 204 for a push that is done, whatever was refused of it; 5xx only
    where a repeat helps."""
    try:
        response = _answer(request, runtime)
    except guards.Refused as refused:
        response = Response(*guards.problem(refused.refusal))
    request.stream = io.BytesIO()  # functions-framework reads what is left of a body into memory
    path = request.path if request.path in (PUSH, LOAD, *_GETS) else "other"
    metrics.REQUESTS.labels("preprocess", path, str(response.status_code)).inc()
    return response


def _answer(request: Request, runtime: Runtime) -> Response:
    _guard(request, runtime)
    if request.path == PUSH and request.method == "POST":
        return _pushed(request, runtime)
    if request.path == LOAD and request.method == "POST":
        return _load(runtime)
    if request.path in _GETS and request.method == "GET":
        return _GETS[request.path](runtime)
    raise guards.Refused(guards.Refusal(404, "not found", f"{request.method} {request.path[:80]}"))


def _guard(request: Request, runtime: Runtime) -> None:
    allowed = runtime.settings.allowed_hosts
    _refuse_if(guards.check_request(request, access=runtime.access, allowed=allowed))


def _pushed(request: Request, runtime: Runtime) -> Response:
    body = guards.read_body(
        cast(BinaryIO, request.stream), _LARGEST_PUSH, length=request.content_length
    )
    try:
        pushed = push.decode(body)
    except push.BadPush as bad:
        raise _malformed(str(bad)) from None
    if not isinstance(pushed.event, RawStored):
        raise _malformed(f"expected RawStored, got {pushed.type}")
    if not pushed.event.object.startswith(names.RAW) or ".." in pushed.event.object:
        raise _malformed(f"expected an object below {names.RAW}, got {pushed.event.object[:80]!r}")
    with trace(pushed.trace):
        return _process(runtime, pushed.event)


def _malformed(detail: str) -> guards.Refused:
    return guards.Refused(guards.Refusal(400, "malformed push", detail))


def _process(runtime: Runtime, event: RawStored) -> Response:
    try:
        process(runtime, event, now=datetime.now(UTC))
    except (StorageError, OSError) as error:
        LOG.exception("%s is not processed", event.object)
        trouble = guards.Refusal(
            503, "storage trouble", f"{type(error).__name__}; the push is tried again"
        )
        raise guards.Refused(trouble) from error
    return Response(status=HTTPStatus.NO_CONTENT)


def _load(runtime: Runtime) -> Response:
    """Load what is pending of the tables, and how much that was; where the tables are the record
    files there is never anything."""
    try:
        loaded = runtime.tables.load_pending()
    except (TablesError, StorageError, OSError) as error:
        LOG.exception("what is pending is not loaded")
        trouble = guards.Refusal(503, "tables trouble", logs.masked(str(error))[:500])
        raise guards.Refused(trouble) from error
    return Response(json.dumps(asdict(loaded)), content_type="application/json")


def _refuse_if(refusal: guards.Refusal | None) -> None:
    if refusal is not None:
        raise guards.Refused(refusal)


def _health(runtime: Runtime) -> Response:
    return _status(runtime, "ok")


def _status(runtime: Runtime, status: str) -> Response:
    said = {"status": status, "simulated": runtime.settings.is_simulated}
    return Response(json.dumps(said), content_type="application/json")


def _ready(runtime: Runtime) -> Response:
    """Ready where the bucket answers."""
    if (reason := health.trouble(runtime.storage)) is not None:
        raise guards.Refused(guards.Refusal(503, "not ready", reason))
    return _status(runtime, "ready")


def _metrics(_: Runtime) -> Response:
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


_GETS = {"/health": _health, "/ready": _ready, "/metrics": _metrics}
