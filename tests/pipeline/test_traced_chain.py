"""One trace from a tick to the forecast, through the bus, as a collector sees it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from otlp_collector import Collector, Received, collecting
from skyblend.cli.apps import apps, router
from skyblend.ingest.collect import CollectReport, collect
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import places, traces
from skyblend.runtime.bus.delivery import Deliverer
from skyblend.runtime.bus.post import into_wsgi
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.simulator.server import serve

STEPS = {
    "tick": "",
    "fetch": "tick",
    "store raw": "tick",
    "process": "publish",
    "decode": "process",
    "write records": "process",
    "latest": "process",
    "records ready": "publish",
    "issue": "records ready",
}


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Collector, CollectReport]]:
    """What came of a tick of one source for one place, delivered to its end."""
    data: Path = tmp_path_factory.mktemp("traced")
    simulator = serve(now=lambda: datetime.now(UTC))
    with collecting() as collector:
        environ = {
            "SKYBLEND_DATA": str(data),
            "SKYBLEND_REALM": "simulated",
            "SKYBLEND_TRACES": collector.url,
            "SKYBLEND_OPEN_METEO_BACKFILL_DAYS": "1",
            **simulator.settings,
        }
        settings = Settings.read(environ)
        runtime = runtime_for(settings)
        places.add(
            runtime.storage, [Place(id="berlin", latitude=52.52, longitude=13.4, collect=True)]
        )
        traces.begin(settings, service="up")
        try:
            now = datetime.now(UTC) - timedelta(minutes=1)
            report = collect(runtime, now, source="open_meteo")
            app = router(apps(runtime))
            Deliverer(runtime.bus, into_wsgi(app), token=runtime.token).drain()  # type: ignore[arg-type]
        finally:
            traces.end()
            runtime.bus.close()
            simulator.stop()
        yield collector, report


def test_one_trace_goes_from_the_tick_to_the_forecast(
    traced: tuple[Collector, CollectReport],
) -> None:
    collector, report = traced
    assert report.objects
    assert {span.trace for span in collector.spans} == {report.trace}
    assert STEPS.keys() <= {span.name for span in collector.spans}


@pytest.mark.parametrize(("name", "above"), STEPS.items())
def test_each_step_stands_below_the_one_that_caused_it(
    traced: tuple[Collector, CollectReport], name: str, above: str
) -> None:
    by_id: dict[str, Received] = {span.id: span for span in traced[0].spans}
    found = traced[0].named(name)
    assert found
    for span in found:
        assert (by_id[span.parent].name if span.parent else "") == above


def test_each_message_is_published_below_its_step(traced: tuple[Collector, CollectReport]) -> None:
    by_id = {span.id: span for span in traced[0].spans}
    published = {
        (span.facts["skyblend.event"], by_id[span.parent].name)
        for span in traced[0].named("publish")
    }
    assert published == {("RawStored", "tick"), ("RecordsReady", "process")}


def test_a_span_tells_few_facts_and_no_address(traced: tuple[Collector, CollectReport]) -> None:
    (fetch, *_) = traced[0].named("fetch")
    assert fetch.facts.keys() == {
        f"skyblend.{n}" for n in ("source", "endpoint", "status", "bytes")
    }
    assert fetch.facts["skyblend.status"] == 200
    assert "http" not in str([span.facts for span in traced[0].spans])
