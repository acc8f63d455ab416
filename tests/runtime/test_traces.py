"""Spans: off by default, sent to a collector where asked, and never in the way."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.oauth2.credentials import Credentials
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from otlp_collector import Collector, collecting
from skyblend.runtime import logs, otlp, traces
from skyblend.runtime.settings import Misconfigured, Settings

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def recorded(collector: Collector) -> Iterator[Collector]:
    """Traces on, to the collector."""
    traces.begin(Settings(traces=collector.url), service="ingest")
    yield collector
    collector.may_answer.set()
    traces.end()


def test_a_span_that_is_not_recorded_changes_nothing() -> None:
    with logs.trace(TRACE), traces.span("tick", source="x") as span:
        span.note(objects=3)
        assert logs.current().carried() == TRACE
    traces.flush_if_due()


def test_spans_nest_in_the_trace_of_the_logs(recorded: Collector) -> None:
    with logs.trace(TRACE), traces.span("tick", places=2):
        with traces.span("fetch", kind="client", source="gfs") as span:
            span.note(status=200)
            assert logs.current_trace() == TRACE
            carried = logs.current().carried()
        assert logs.current_trace() == TRACE
    traces.flush_if_due()
    recorded.wait("tick", "fetch")
    (tick,), (fetch,) = recorded.named("tick"), recorded.named("fetch")
    assert (tick.trace, tick.parent, tick.facts) == (TRACE, "", {"skyblend.places": 2})
    assert (fetch.trace, fetch.parent) == (TRACE, tick.id)
    assert fetch.facts == {"skyblend.source": "gfs", "skyblend.status": 200}
    assert carried == f"00-{TRACE}-{fetch.id}-01"
    assert recorded.resource["service.name"] == "skyblend-ingest"


def test_what_a_message_carries_is_the_parent(recorded: Collector) -> None:
    with logs.trace(f"00-{TRACE}-{SPAN}-01"), traces.span("process"):
        pass
    traces.flush_if_due()
    recorded.wait("process")
    (process,) = recorded.spans
    assert (process.trace, process.parent) == (TRACE, SPAN)


def test_a_front_that_records_nothing_is_no_parent(recorded: Collector) -> None:
    with logs.trace(f"00-{TRACE}-{SPAN}-00"), traces.span("tick"):
        pass
    with logs.trace("an id of my own"), traces.span("tock"):
        assert logs.current().is_w3c
    traces.flush_if_due()
    recorded.wait("tick", "tock")
    assert [(one.trace, one.parent) for one in recorded.named("tick")] == [(TRACE, "")]
    assert recorded.named("tock")[0].trace != TRACE


def test_a_failure_is_marked_without_its_text(recorded: Collector) -> None:
    with pytest.raises(ValueError, match="s3cret"), traces.span("fetch", kind="client"):
        raise ValueError("https://x/?key=s3cret")
    traces.flush_if_due()
    recorded.wait("fetch")
    (fetch,) = recorded.spans
    assert fetch.is_failed
    assert "s3cret" not in str(fetch)


def test_the_end_sends_what_is_there(collector: Collector) -> None:
    traces.begin(Settings(traces=collector.url), service="train")
    with traces.span("train"):
        pass
    traces.end()
    assert [span.name for span in collector.spans] == ["train"]


def test_spans_are_sent_once_in_a_while_and_not_at_every_request(recorded: Collector) -> None:
    for name in ("first", "second"):
        with traces.span(name):
            pass
        traces.flush_if_due()
    recorded.wait("first")
    assert not recorded.named("second")
    traces.end()
    assert recorded.named("second")


def test_a_collector_that_does_not_answer_holds_nobody_up(recorded: Collector) -> None:
    recorder = otlp.OtlpRecorder.to(Settings(traces=recorded.url), service="ingest")
    recorded.may_answer.clear()
    with recorder.span("tick", "internal", {}):
        pass
    recorder.flush(0.01)
    assert recorded.asked.wait(10)
    for _ in range(3000):  # more than the queue holds
        with recorder.span("fetch", "client", {}):
            pass
    assert not recorded.spans
    recorded.may_answer.set()
    recorder.end()
    assert 0 < len(recorded.named("fetch")) < 3000


def test_a_collector_that_is_down_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    recorder = otlp.OtlpRecorder.to(Settings(traces="http://127.0.0.1:9"), service="ingest")
    for _ in range(3):
        with recorder.span("tick", "internal", {}):
            pass
        recorder.flush(10)
    recorder.end()
    warnings = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(warnings) == 1
    assert "1 spans could not be sent" in warnings[0].getMessage()


def test_a_collector_that_refuses_is_one_warning_and_is_asked_again_later(
    collector: Collector, caplog: pytest.LogCaptureFixture
) -> None:
    collector.status = 403
    recorder = otlp.OtlpRecorder.to(Settings(traces=collector.url), service="ingest")
    with recorder.span("tick", "internal", {}):
        pass
    recorder.end()
    assert [one.levelname for one in caplog.records] == ["WARNING"]


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        (Settings(traces="jaeger:4317"), "must be gcp or an http"),
        (Settings(traces="gcp"), "SKYBLEND_PROJECT"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_at_the_start(
    settings: Settings, told: str
) -> None:
    with pytest.raises(Misconfigured, match=told):
        traces.begin(settings, service="ingest")


def test_spans_for_cloud_trace_carry_our_account_and_project(
    collector: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = tmp_path / "account.json"
    account.write_text(json.dumps(service_account()))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(account))
    settings = Settings(traces="gcp", project="weather")
    session = otlp.google_session(settings)
    assert session.credentials.scopes == [otlp.SCOPE]  # type: ignore[attr-defined]
    session.credentials = Credentials("ya29.ours")  # type: ignore[attr-defined,no-untyped-call]
    exporter = OTLPSpanExporter(f"{collector.url}/v1/traces", session=session)
    recorder = otlp.OtlpRecorder(exporter, otlp.resource(settings, "ingest"))
    with recorder.span("tick", "internal", {}):
        pass
    recorder.end()
    assert collector.headers[0]["authorization"] == "Bearer ya29.ours"
    assert collector.resource["gcp.project_id"] == "weather"


def service_account() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return {
        "type": "service_account",
        "client_email": "skyblend-ingest@weather.iam.gserviceaccount.com",
        "private_key": pem.decode(),
        "private_key_id": "1",
        "token_uri": "http://127.0.0.1:9/token",
        "project_id": "weather",
    }


def test_nothing_of_opentelemetry_is_imported_while_traces_are_off(tmp_path: Path) -> None:
    program = """
import sys
import skyblend.ingest.main as ingest, skyblend.predict.main as predict
import skyblend.preprocess.main as preprocess
from flask import Request
from werkzeug.test import EnvironBuilder
asked = EnvironBuilder('/ready', base_url='http://127.0.0.1').get_environ()
statuses = [one.respond(Request(asked), one._runtime()).status_code for one in (ingest, preprocess)]
b''.join(predict.App()(asked, lambda status, *_: statuses.append(int(status[:3]))))
assert statuses == [200, 200, 200], statuses
sys.exit(sum(name.startswith('opentelemetry') for name in sys.modules))
"""
    environ = os.environ | {"SKYBLEND_DATA": str(tmp_path)}
    subprocess.run([sys.executable, "-c", program], env=environ, check=True)
