"""A collector of OpenTelemetry on loopback: takes spans over OTLP, and keeps them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Event, Thread

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

PATIENCE = 20.0  # seconds; a failing test ends


@dataclass(frozen=True)
class Received:
    """A span as it came."""

    name: str
    trace: str
    id: str
    parent: str
    service: str
    kind: int
    is_failed: bool
    facts: dict[str, object]


@dataclass
class Collector:
    """Keeps spans, and the headers of each request; answers wait while `may_answer` is clear."""

    url: str = ""
    status: int = 200
    spans: list[Received] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    resource: dict[str, str] = field(default_factory=dict)
    may_answer: Event = field(default_factory=Event)
    asked: Event = field(default_factory=Event)
    changed: Condition = field(default_factory=Condition)

    def wait(self, *names: str) -> None:
        """Until spans of these names are here."""
        with self.changed:
            assert self.changed.wait_for(
                lambda: set(names) <= {span.name for span in self.spans}, PATIENCE
            ), f"only {sorted(span.name for span in self.spans)} came"

    def named(self, name: str) -> list[Received]:
        return [span for span in self.spans if span.name == name]

    def take(self, body: bytes, headers: dict[str, str]) -> None:
        request = ExportTraceServiceRequest.FromString(body)
        with self.changed:
            self.headers.append(headers)
            self.spans.extend(self._read(request))
            self.changed.notify_all()

    def _read(self, request: ExportTraceServiceRequest) -> Iterator[Received]:
        for of_resource in request.resource_spans:
            pairs = of_resource.resource.attributes
            self.resource = {pair.key: pair.value.string_value for pair in pairs}
            for span in (span for scope in of_resource.scope_spans for span in scope.spans):
                yield Received(
                    name=span.name,
                    trace=span.trace_id.hex(),
                    id=span.span_id.hex(),
                    parent=span.parent_span_id.hex(),
                    service=self.resource["service.name"],
                    kind=span.kind,
                    is_failed=span.status.code == 2,
                    facts={
                        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "")
                        for pair in span.attributes
                    },
                )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A collector that listens."""
    collector = Collector()
    collector.may_answer.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.asked.set()
            collector.may_answer.wait(PATIENCE)
            if collector.status == 200:
                collector.take(body, {n.lower(): v for n, v in self.headers.items()})
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(collector.status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield collector
        finally:
            collector.may_answer.set()
            server.shutdown()
            thread.join()
