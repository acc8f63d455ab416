"""The requests of ingest: ticks, uploads and places, and what tells how the service is."""

import io
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, BinaryIO, cast

from flask import Request, Response
from google.protobuf.json_format import ParseDict, ParseError
from skyblend.ingest import places, uploads
from skyblend.ingest.arrivals import adopt
from skyblend.ingest.collect import CollectReport, SourceReport, collect
from skyblend.ingest.collect_task import UnknownTask, collect_task
from skyblend.protos.v1.events_pb2 import CollectTask
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import contexts, guards, health, metrics
from skyblend.runtime.bus import ROUTES, push
from skyblend.runtime.guards import Refusal, Refused
from skyblend.runtime.logs import trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.places import BadPlace
from skyblend.runtime.places import read as known_places
from skyblend.runtime.storage import StorageError, finalized
from skyblend.sources.registry import SOURCES

LARGEST_JSON = 4 << 20  # bytes
LARGEST_PUSH = 1 << 20  # bytes
_JSON = "application/json"
_BYTES = "application/octet-stream"
_UPLOADS = "/v1/uploads"
_LOG = logging.getLogger(__name__)


def respond(request: Request, runtime: Runtime) -> Response:
    """The answer to a request; what is refused is problem+json."""
    route = _ROUTES.get((request.method, request.path))
    try:
        _guard(request, runtime)
        if route is None:
            raise Refused(Refusal(404, "not found", f"{request.method} {request.path[:80]}"))
        response = route(request, runtime)
    except Refused as refused:
        response = Response(*guards.problem(refused.refusal))
    except (StorageError, OSError) as error:
        _LOG.exception("%s failed", request.path)
        trouble = Refusal(503, "storage trouble", f"{type(error).__name__}: try again")
        response = Response(*guards.problem(trouble))
    request.stream = io.BytesIO()  # functions-framework reads what is left of a body into memory
    path = request.path if route else "other"
    metrics.REQUESTS.labels("ingest", path, str(response.status_code)).inc()
    return response


def _collect(request: Request, runtime: Runtime) -> Response:
    given = _read_json(request)
    if not isinstance(given, dict):
        raise _bad("body", "a JSON object", type(given).__name__)
    tick = _tick(given.get("tick"), datetime.now(UTC))
    source = given.get("source")
    if source is not None and source not in list(SOURCES):
        raise _bad("source", f"one of {', '.join(SOURCES)}", repr(source)[:80])
    with trace(_trace(request)):
        report = collect(runtime, tick, source=source)
    return _json(_collected(report), runtime)


def _collect_task(request: Request, runtime: Runtime) -> Response:
    """204 also where the provider gives nothing now: the task stays due for a later tick."""
    body = guards.read_body(
        cast(BinaryIO, request.stream), LARGEST_PUSH, length=request.content_length
    )
    try:
        pushed = push.decode(body)
        if not isinstance(pushed.event, CollectTask):
            raise push.BadPush("message.attributes.type", "CollectTask", pushed.type)
        with trace(pushed.trace):
            collect_task(runtime, pushed.event)
    except (push.BadPush, UnknownTask) as bad:
        raise Refused(Refusal(400, "malformed push", str(bad))) from None
    return Response(status=204)


def _upload_finalized(request: Request, runtime: Runtime) -> Response:
    """204 for all that Cloud Storage tells of, also what is refused and what is not for us."""
    body = guards.read_body(
        cast(BinaryIO, request.stream), LARGEST_PUSH, length=request.content_length
    )
    try:
        arrival = finalized.decode(body)
    except push.BadPush as bad:
        raise Refused(Refusal(400, "malformed push", str(bad))) from None
    if arrival is not None:
        with trace(_trace(request)):
            adopt(runtime, arrival, now=datetime.now(UTC))
    return Response(status=204)


def _trace(request: Request) -> str:
    """The trace that the headers name, as it is carried; empty for a new one."""
    return contexts.of_request(request.headers.get).carried()


def _upload(request: Request, runtime: Runtime) -> Response:
    limit, length = runtime.settings.upload_limit, request.content_length
    if length is not None and length > limit:
        raise Refused(Refusal(413, "too large", str(uploads.TooLarge(limit))))
    query = request.args
    with trace(_trace(request)):
        try:
            stored = uploads.store(
                runtime,
                request.stream,
                file_name=query.get("name", ""),
                source=query.get("source", ""),
                collect=_flag(query.get("collect", "")),
                now=datetime.now(UTC),
            )
        except uploads.TooLarge as error:
            raise Refused(Refusal(413, "too large", str(error))) from None
        except uploads.BadUpload as error:
            raise Refused(Refusal(400, "bad upload", str(error))) from None
    answer = {"sha256": stored.sha256, "object": stored.object, "created": stored.created}
    return _json(answer, runtime, status=201 if stored.created else 200)


def _places(request: Request, runtime: Runtime) -> Response:
    given = _read_json(request)
    rows = given if isinstance(given, list) else [given]
    found = [_place(i, row) for i, row in enumerate(rows)]
    known = known_places(runtime.storage)
    for row, place in zip(rows, found, strict=True):
        if "collect" not in row and place.id in known:
            place.collect = known[place.id].collect
    try:
        added = places.add(runtime, found, replace=True)
    except BadPlace as error:
        raise Refused(Refusal(400, "bad place", str(error))) from None
    except places.OverQuota as error:
        raise Refused(Refusal(409, "over quota", str(error))) from None
    return _json({"changed": added}, runtime)


def _place(number: int, row: Any) -> Place:
    if not isinstance(row, dict):
        raise _bad(f"place {number}", "a JSON object", type(row).__name__)
    fields = [field.name for field in Place.DESCRIPTOR.fields]
    if (unknown := next((name for name in row if name not in fields), None)) is not None:
        raise _bad_request(
            f"place {number}: unknown field {unknown[:60]!r}; expected {', '.join(fields)}"
        )
    try:
        return ParseDict(row, Place())
    except ParseError as error:
        raise _bad(f"place {number}", "id, latitude, longitude, ...", str(error)[:200]) from None


def _tick(given: Any, now: datetime) -> datetime:
    """The time of a tick; without one, `now` cut to the minute."""
    if given is None:
        return now - timedelta(seconds=now.second, microseconds=now.microsecond)
    try:
        tick = datetime.fromisoformat(given)
    except (TypeError, ValueError):
        raise _bad("tick", "a time like 2026-11-20T10:00:00Z", repr(given)[:80]) from None
    if tick.tzinfo is None:
        raise _bad("tick", "a time with its zone", repr(given)[:80])
    try:
        return tick.astimezone(UTC)
    except OverflowError:
        raise _bad("tick", "a time of our days", repr(given)[:80]) from None


def _flag(given: str) -> bool:
    if given.lower() not in ("", "0", "1", "false", "true"):
        raise _bad("collect", "true or false", repr(given[:80]))
    return given.lower() in ("1", "true")


def _guard(request: Request, runtime: Runtime) -> None:
    """Raises Refused for whom the request may not come from."""
    refusal = guards.check_request(
        request,
        access=runtime.access,
        allowed=runtime.settings.allowed_hosts,
        expected=_BYTES if request.path == _UPLOADS else _JSON,
    )
    if refusal is not None:
        raise Refused(refusal)


def _read_json(request: Request) -> Any:
    body = guards.read_body(
        cast(BinaryIO, request.stream), LARGEST_JSON, length=request.content_length
    )
    try:
        return json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise _bad("body", "JSON", str(error)[:200]) from None


def _bad(where: str, expected: str, got: str) -> Refused:
    return _bad_request(f"{where}: expected {expected}, got {got}")


def _bad_request(detail: str) -> Refused:
    return Refused(Refusal(400, "bad request", detail))


def _json(content: dict[str, Any], runtime: Runtime, *, status: int = 200) -> Response:
    said = {"simulated": runtime.settings.is_simulated, **content}
    return Response(json.dumps(said), status, content_type=_JSON)


def _collected(report: CollectReport) -> dict[str, Any]:
    return {
        "tick": report.tick.isoformat().replace("+00:00", "Z"),
        "trace": report.trace,
        "sources": [_source(one) for one in report.sources],
    }


def _source(report: SourceReport) -> dict[str, Any]:
    return {
        "source": report.source,
        "objects": report.objects,
        "answers": report.answers,
        "left": report.left,
        "failures": [{"endpoint": one.endpoint, "reason": one.reason} for one in report.failures],
        "until": report.until.isoformat() if report.until else None,
    } | ({"published": report.published} if report.published else {})


def _health(_: Request, runtime: Runtime) -> Response:
    return _json({"status": "ok"}, runtime)


def _ready(_: Request, runtime: Runtime) -> Response:
    """Ready where the bucket answers."""
    if (reason := health.trouble(runtime.storage)) is not None:
        raise Refused(Refusal(503, "not ready", reason))
    return _json({"status": "ready"}, runtime)


def _metrics(_: Request, __: Runtime) -> Response:
    return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)


_ROUTES: dict[tuple[str, str], Callable[[Request, Runtime], Response]] = {
    ("POST", "/v1/collect"): _collect,
    ("POST", ROUTES["CollectTask"]): _collect_task,
    ("POST", _UPLOADS): _upload,
    ("POST", "/v1/events/upload-finalized"): _upload_finalized,
    ("POST", "/v1/places"): _places,
    ("GET", "/health"): _health,
    ("GET", "/ready"): _ready,
    ("GET", "/metrics"): _metrics,
}
