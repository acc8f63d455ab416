"""Spans by OpenTelemetry's SDK, sent over OTLP: to Cloud Trace, or to any collector.

Imported only where SKYBLEND_TRACES is set. Every span is recorded: what makes them is scheduled
work, some thousands a day. The sampling of whoever stands in front (Cloud Run marks one request in
ten seconds) decides nothing, or most ticks would be without a trace; a span in front that is not
recorded is not made a parent.
"""

import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from skyblend.runtime import logs
from skyblend.runtime.contexts import Context
from skyblend.runtime.metrics import SPANS
from skyblend.runtime.settings import Misconfigured, Settings
from skyblend.runtime.traces import Fact, Kind

if TYPE_CHECKING:
    from requests import Session

GOOGLE = "https://telemetry.googleapis.com/v1/traces"
SCOPE = "https://www.googleapis.com/auth/trace.append"
SEND_SECONDS = 3.0
QUIET_SECONDS = 60.0
LONGEST_FACT = 200  # characters
_QUEUE, _BATCH, _EVERY_SECONDS = 2048, 512, 5.0
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_LOG = logging.getLogger(__name__)


class OtlpRecorder:
    """Records every span, and sends them in batches from a thread; a full queue loses the oldest
    rather than wait."""

    def __init__(self, exporter: SpanExporter, resource: Mapping[str, str]) -> None:
        # What fails is told once, below; the exporter would tell each attempt.
        logging.getLogger("opentelemetry.exporter").setLevel(logging.CRITICAL)
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create(resource), id_generator=_Ids()
        )
        self._provider.add_span_processor(
            BatchSpanProcessor(
                Forgiving(exporter),
                max_queue_size=_QUEUE,
                schedule_delay_millis=_EVERY_SECONDS * 1000,
                max_export_batch_size=_BATCH,
            )
        )
        self._tracer = self._provider.get_tracer("skyblend")
        self._flushed = float("-inf")
        self._is_waiting = False  # whether a span has ended since the last flush

    @classmethod
    def to(cls, settings: Settings, *, service: str) -> "OtlpRecorder":
        """The recorder that SKYBLEND_TRACES asks for; raises Misconfigured."""
        where = settings.traces
        if where != "gcp" and not where.startswith(("http://", "https://")):
            raise Misconfigured(
                f"SKYBLEND_TRACES must be gcp or an http(s) address, got {where[:40]!r}"
            )
        session = google_session(settings) if where == "gcp" else None
        endpoint = GOOGLE if where == "gcp" else _traces_of(where)
        exporter = OTLPSpanExporter(endpoint, session=session, timeout=SEND_SECONDS)
        return cls(exporter, resource(settings, service))

    @contextmanager
    def span(self, name: str, kind: Kind, facts: dict[str, Fact]) -> Iterator["_Recorded"]:
        around = logs.current()
        parent = (
            set_span_in_context(NonRecordingSpan(_parent(around))) if _goes_on(around) else None
        )
        span = self._tracer.start_span(
            name,
            context=parent,
            kind=SpanKind[kind.upper()],
            attributes=_named(facts),
        )
        made = span.get_span_context()
        inside = Context(f"{made.trace_id:032x}", f"{made.span_id:016x}", is_sampled=True)
        try:
            with logs.within(inside):
                yield _Recorded(span)
        except BaseException as error:
            # The kind of failure alone: its text may hold what is nobody's business.
            span.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise
        finally:
            span.end()
            self._is_waiting = True

    def flush(self, seconds: float, *, unless_within: float = 0.0) -> None:
        now = time.monotonic()
        if not self._is_waiting or now - self._flushed < unless_within:
            return
        self._flushed, self._is_waiting = now, False
        sending = threading.Thread(target=self._provider.force_flush, name="traces", daemon=True)
        sending.start()
        sending.join(seconds)

    def end(self) -> None:
        self._provider.shutdown()


class _Recorded:
    def __init__(self, span: OtelSpan) -> None:
        self._span = span

    def note(self, **facts: Fact) -> None:
        self._span.set_attributes(_named(facts))


class _Ids(RandomIdGenerator):
    """A trace that begins here has the id that the logs have for it."""

    def generate_trace_id(self) -> int:
        around = logs.current()
        return int(around.trace, 16) if around.is_w3c else super().generate_trace_id()


class Forgiving(SpanExporter):
    """An exporter whose failure costs nothing but its spans: told once until it works again, and
    for QUIET_SECONDS after it what comes is dropped without an attempt."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter
        self._resting_until = float("-inf")
        self._is_told = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        if time.monotonic() < self._resting_until:
            SPANS.labels("lost").inc(len(spans))
            return SpanExportResult.FAILURE
        if self._exporter.export(spans) == SpanExportResult.SUCCESS:
            SPANS.labels("sent").inc(len(spans))
            self._is_told = False
            return SpanExportResult.SUCCESS
        SPANS.labels("lost").inc(len(spans))
        self._resting_until = time.monotonic() + QUIET_SECONDS
        if not self._is_told:
            self._is_told = True
            _LOG.warning(
                "%d spans could not be sent to where SKYBLEND_TRACES says; the work goes on, and"
                " is tried again in %d s",
                len(spans),
                QUIET_SECONDS,
            )
        return SpanExportResult.FAILURE

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)


def _goes_on(around: Context) -> bool:
    return bool(around.is_w3c and around.span and around.is_sampled)


def _parent(around: Context) -> SpanContext:
    return SpanContext(
        int(around.trace, 16), int(around.span, 16), is_remote=True, trace_flags=_SAMPLED
    )


def _named(facts: Mapping[str, Fact]) -> dict[str, Fact]:
    return {
        f"skyblend.{name}": value[:LONGEST_FACT] if isinstance(value, str) else value
        for name, value in facts.items()
    }


def resource(settings: Settings, service: str) -> dict[str, str]:
    """Who sends; Cloud Trace takes spans into the project that is named here."""
    found = {
        "service.name": os.environ.get("K_SERVICE") or f"skyblend-{service}",
        "service.version": os.environ.get("K_REVISION", ""),
        "gcp.project_id": settings.project,
    }
    return {name: value for name, value in found.items() if value}


def _traces_of(address: str) -> str:
    """The address of a collector as it is, or with OTLP's path where it has none."""
    _, _, rest = address.partition("://")
    return address if rest.partition("/")[2] else f"{address.rstrip('/')}/v1/traces"


def google_session(settings: Settings) -> "Session":
    """Requests as the account that we run as. A quota project (x-goog-user-project) is only for a
    person's own credentials, which name it themselves."""
    import google.auth  # noqa: PLC0415 - only for Cloud Trace
    from google.auth.exceptions import DefaultCredentialsError  # noqa: PLC0415
    from google.auth.transport.requests import AuthorizedSession  # noqa: PLC0415

    if not settings.project:
        raise Misconfigured("SKYBLEND_TRACES is gcp, so SKYBLEND_PROJECT must name the project")
    try:
        credentials, _ = google.auth.default(scopes=[SCOPE])
    except DefaultCredentialsError as error:
        raise Misconfigured(
            f"SKYBLEND_TRACES is gcp, but there are no credentials: {error}"
        ) from None
    session: Session = AuthorizedSession(  # type: ignore[no-untyped-call]
        credentials, refresh_timeout=SEND_SECONDS
    )
    return session
