"""Every endpoint but the forecast: what changes something behind its credential, what the page
reads, health and metrics."""

import re
from collections.abc import Callable
from datetime import datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

import orjson
from flask import Flask, Response, request, send_from_directory
from prometheus_client import CONTENT_TYPE_LATEST
from skyblend.predict.serve import page
from skyblend.predict.serve.answer import describe
from skyblend.predict.serve.forecasts import Forecasts
from skyblend.predict.serve.issue import Issuer, IssueReport
from skyblend.predict.serve.security import SECURITY
from skyblend.protos.v1.events_pb2 import ModelPromoted, RecordsReady
from skyblend.runtime import contexts, health, logs, names
from skyblend.runtime.bus import ROUTES
from skyblend.runtime.bus.push import BadPush, decode
from skyblend.runtime.guards import Refusal, Refused, check_request, problem, read_body
from skyblend.runtime.metrics import REQUESTS, exposition
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Absent
from skyblend.runtime.traces import span
from werkzeug.exceptions import HTTPException

STATIC: Final = Path(__file__).parent / "static"
LARGEST_BODY: Final = 8 << 20
SKILL: Final = "skill.json"
_TICK: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?Z")

Json = dict[str, Any]


def flask_app(runtime: Runtime, forecasts: Forecasts, now: Callable[[], datetime]) -> Flask:
    """All routes on one runtime."""
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False
    endpoints = _Endpoints(runtime, forecasts, now)
    app.before_request(endpoints.guard)
    app.after_request(_finished)
    app.register_error_handler(HTTPException, _http_problem)
    app.register_error_handler(Refused, lambda error: problem(error.refusal))
    app.register_error_handler(BadPush, _bad_push)
    app.add_url_rule("/", view_func=endpoints.page)
    app.add_url_rule("/static/<path:file>", view_func=endpoints.static)
    for path, get in endpoints.reads().items():
        app.add_url_rule(path, path, get, methods=["GET"])
    for path, post in endpoints.changes().items():
        app.add_url_rule(path, path, post, methods=["POST"])
    return app


class _Endpoints:
    """The endpoints; each parses, calls one function and answers."""

    def __init__(self, runtime: Runtime, forecasts: Forecasts, now: Callable[[], datetime]) -> None:
        self._runtime, self._forecasts, self._now = runtime, forecasts, now
        self._issuer = Issuer(runtime)
        self._is_simulated = runtime.settings.is_simulated

    def reads(self) -> dict[str, Callable[[], Response]]:
        return {
            "/v1/places": self.places,
            "/v1/sources": self.sources,
            "/v1/series": self.series,
            "/v1/skill": self.skill,
            "/health": self.health,
            "/ready": self.ready,
            "/metrics": self.metrics,
        }

    def changes(self) -> dict[str, Callable[[], Response]]:
        return {
            "/v1/issue": self.issue,
            ROUTES["RecordsReady"]: self.records_ready,
            ROUTES["ModelPromoted"]: self.model_promoted,
        }

    def guard(self) -> tuple[bytes, int, dict[str, str]] | None:
        """The Host of every request; the credential and the content type of one that changes
        something; a probe passes none."""
        access, allowed = self._runtime.access, self._runtime.settings.allowed_hosts
        refusal = check_request(request, access=access, allowed=allowed)
        return problem(refusal) if refusal else None

    # What is read.

    def page(self) -> Response:
        return self.static("index.html")

    def static(self, file: str) -> Response:
        return send_from_directory(STATIC, file)  # no-cache with an ETag: never an old script

    def places(self) -> Response:
        simulated = self._is_simulated
        rows = [
            page.place_row(
                place, self._forecasts.issued.get(names.issued(place.id)).value, simulated=simulated
            )
            for place in (self._forecasts.places.get(names.PLACES).value or {}).values()
        ]
        return _json({"simulated": simulated, "places": rows})

    def sources(self) -> Response:
        issued = self._issued()
        return _json(page.sources_row(issued, self._now()))

    def series(self) -> Response:
        issued = self._issued()
        variable = request.args.get("variable", "temperature_2m")
        period = request.args.get("period", type=int)
        if (row := page.series_row(issued, variable, period)) is None:
            there = ", ".join(
                f"{s['variable']}/{s['period']}" for s in map(describe, issued.series)
            )
            raise _not_found(
                f"no series {variable[:60]!r} of {issued.place.id}; there are: {there or 'none'}"
            )
        return _json(row)

    def skill(self) -> Response:
        try:
            content = orjson.loads(self._runtime.storage.read(SKILL).data)
        except Absent:
            content = {}
        return _json({"simulated": self._is_simulated, **content})

    def health(self) -> Response:
        return _json({"status": "ok", "simulated": self._is_simulated})

    def ready(self) -> Response:
        """Ready where the bucket answers, also before the first issue: its order is a request."""
        if (reason := health.trouble(self._runtime.storage)) is not None:
            raise Refused(Refusal(HTTPStatus.SERVICE_UNAVAILABLE, "not ready", reason))
        return _json({"status": "ready", "simulated": self._is_simulated})

    def metrics(self) -> Response:
        return Response(exposition(), content_type=CONTENT_TYPE_LATEST)

    # What changes something.

    def issue(self) -> Response:
        """Issue every place now. The scheduler's `tick` is checked and no more: a late tick issues
        nothing in the past, and a repeated one finds nothing changed."""
        _check_tick(_body())
        with logs.trace(contexts.of_request(request.headers.get).carried()):
            report = report_row(self._issue(now=self._now()))
        return _json({"simulated": self._is_simulated, **report})

    def records_ready(self) -> Response:
        push = decode(_body())
        if not isinstance(push.event, RecordsReady):
            raise BadPush("message.attributes.type", "RecordsReady", push.type)
        with logs.trace(push.trace), span("records ready", kind="consumer"):
            if push.event.latest_places and self._runtime.settings.issue_on == "records":
                self._issue(now=self._now(), only=frozenset(push.event.latest_places))
        return Response(status=HTTPStatus.NO_CONTENT)

    def model_promoted(self) -> Response:
        push = decode(_body())
        if not isinstance(push.event, ModelPromoted):
            raise BadPush("message.attributes.type", "ModelPromoted", push.type)
        with logs.trace(push.trace), span("model promoted", kind="consumer"):
            self._issuer.champions.forget()
            self._issue(now=self._now())
        return Response(status=HTTPStatus.NO_CONTENT)

    def _issue(self, *, now: datetime, only: frozenset[str] | None = None) -> IssueReport:
        report = self._issuer.issue(now=now, places=only)
        self._forecasts.forget()
        return report

    def _issued(self) -> Any:
        """The issue of the place that is asked for, else of the first."""
        known = self._forecasts.places.get(names.PLACES).value or {}
        place_id = request.args.get("place") or next(iter(known), "")
        if place_id not in known:
            raise _not_found(f"no place {place_id[:64]!r}")
        issued = self._forecasts.issued.get(names.issued(place_id)).value
        if issued is None:
            refusal = Refusal(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "not issued",
                f"no forecast has been issued yet for {place_id}",
            )
            raise Refused(refusal)
        return issued


def report_row(report: IssueReport) -> Json:
    """What was issued, for the answer of `POST /v1/issue`."""
    return {
        "issued": list(report.issued),
        "unchanged": list(report.unchanged),
        "waiting": list(report.waiting),
        "segment": report.segment,
    }


def _body() -> bytes:
    return read_body(cast(BinaryIO, request.stream), LARGEST_BODY, length=request.content_length)


def _check_tick(body: bytes) -> None:
    """The body is `{}`, `{"tick": "2026-11-20T10:00:00Z"}` or empty."""
    try:
        content = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise _bad_request(f"the body is no JSON: {error}") from error
    if not isinstance(content, dict):
        raise _bad_request(f"expected a JSON object, got {type(content).__name__}")
    tick = content.get("tick")
    if tick is not None and not (isinstance(tick, str) and _TICK.fullmatch(tick)):
        got = repr(tick)[:60]
        raise _bad_request(f"tick: expected a time like 2026-11-20T10:00:00Z, got {got}")


def _json(content: Json) -> Response:
    return Response(orjson.dumps(content), content_type="application/json")


def _bad_request(detail: str) -> Refused:
    return Refused(Refusal(HTTPStatus.BAD_REQUEST, "bad request", detail))


def _not_found(detail: str) -> Refused:
    return Refused(Refusal(HTTPStatus.NOT_FOUND, "not found", detail))


def _bad_push(error: BadPush) -> tuple[bytes, int, dict[str, str]]:
    return problem(Refusal(HTTPStatus.BAD_REQUEST, "bad push", str(error)))


def _http_problem(error: HTTPException) -> tuple[bytes, int, dict[str, str]]:
    """What Flask refuses by itself, in our form; the headers (Allow) stay."""
    status = HTTPStatus(error.code or HTTPStatus.INTERNAL_SERVER_ERROR)
    body, code, headers = problem(Refusal(status, status.phrase.lower(), error.description or ""))
    return body, code, headers | {n: v for n, v in error.get_headers() if n == "Allow"}


def _finished(answer: Response) -> Response:
    """Security headers and the count; an unknown path is counted as such, or labels would grow
    without end."""
    for name, value in SECURITY:
        answer.headers.setdefault(name, value)
    if "Cache-Control" not in answer.headers:
        answer.headers["Cache-Control"] = "no-store"
    rule = request.url_rule.rule if request.url_rule else "unknown"
    REQUESTS.labels("predict", rule, str(answer.status_code)).inc()
    return answer
