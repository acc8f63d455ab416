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


OVER_THE_BUS = STEPS | {
    "collect task": "publish",
    "fetch": "collect task",
    "store raw": "collect task",
}
Traced = tuple[Collector, CollectReport, dict[str, str]]


@pytest.fixture(scope="module", params=[("0", STEPS), ("1", OVER_THE_BUS)], ids=["itself", "bus"])
def traced(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Traced]:
    """What came of a tick of one source for one place, delivered to its end: collected by the tick
    itself, or by tasks over the bus."""
    fan_out, steps = request.param
    data: Path = tmp_path_factory.mktemp("traced")
    simulator = serve(now=lambda: datetime.now(UTC))
    with collecting() as collector:
        environ = {
            "SKYBLEND_DATA": str(data),
            "SKYBLEND_REALM": "simulated",
            "SKYBLEND_TRACES": collector.url,
            "SKYBLEND_FAN_OUT": fan_out,
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
        yield collector, report, steps


def above(traced: Traced, name: str) -> set[str]:
    """The names of the spans that those of a name stand below."""
    by_id: dict[str, Received] = {span.id: span for span in traced[0].spans}
    parents = [span.parent for span in traced[0].named(name)]
    return {by_id[parent].name if parent else "" for parent in parents}


def test_one_trace_goes_from_the_tick_to_the_forecast(traced: Traced) -> None:
    collector, report, steps = traced
    assert {span.trace for span in collector.spans} == {report.trace}
    assert steps.keys() | {"publish"} == {span.name for span in collector.spans}


def test_each_step_stands_below_the_one_that_caused_it(traced: Traced) -> None:
    assert {name: above(traced, name) for name in traced[2]} == {
        name: {cause} for name, cause in traced[2].items()
    }


def test_each_message_is_published_below_its_step(traced: Traced) -> None:
    by_id = {span.id: span for span in traced[0].spans}
    published = {
        (span.facts["skyblend.event"], by_id[span.parent].name)
        for span in traced[0].named("publish")
    }
    collected = {("CollectTask", "tick"), ("RawStored", "collect task")}
    goes_over_bus = traced[2] is OVER_THE_BUS
    first = collected if goes_over_bus else {("RawStored", "tick")}
    assert published == first | {("RecordsReady", "process")}


def test_a_span_tells_few_facts_and_no_address(traced: Traced) -> None:
    (fetch, *_) = traced[0].named("fetch")
    facts = ("source", "endpoint", "status", "bytes")
    assert fetch.facts.keys() == {f"skyblend.{name}" for name in facts}
    assert fetch.facts["skyblend.status"] == 200
    assert "http" not in str([span.facts for span in traced[0].spans])
