"""The whole chain in one process, step by step: tick, raw, records, latest, issue, answer."""

import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from skyblend.cli import defaults
from skyblend.cli.apps import App, apps, router
from skyblend.ingest.collect import collect
from skyblend.predict.serve.app import create_app
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.bus.delivery import Deliverer
from skyblend.runtime.bus.post import into_wsgi
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.simulator.server import Simulator, serve
from werkzeug.test import Client

BERLIN = "/v1/forecast?latitude=52.52&longitude=13.41&hourly=temperature_2m"
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@dataclass(frozen=True)
class Chain:
    """A data folder with the services on it, and a bus that is delivered by hand."""

    runtime: Runtime
    app: App

    def drain(self) -> None:
        counts = Deliverer(self.runtime.bus, into_wsgi(self.app), token=self.runtime.token).drain()
        assert (counts.later, counts.dead) == (0, 0)

    def tick(self, at: datetime) -> int:
        report = collect(self.runtime, at)
        assert report.failures == ()
        self.drain()
        return len(report.objects)

    def get(self, path: str) -> dict[str, object]:
        answer = Client(self.app).get(path)
        assert answer.status_code == 200, answer.text
        found: dict[str, object] = answer.get_json()
        return found

    def objects(self, *prefixes: str) -> dict[str, str]:
        """Name -> sha256 of the objects under some prefixes."""
        storage = self.runtime.storage
        return {
            listed.name: hashlib.sha256(storage.read(listed.name).data).hexdigest()
            for prefix in prefixes
            for listed in storage.list(prefix)
        }


@pytest.fixture
def now() -> datetime:
    """The real time: what the services write down is of now, and the simulator must agree."""
    return datetime.now(UTC).replace(second=0, microsecond=0)


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    simulator = serve(now=lambda: datetime.now(UTC))
    yield simulator
    simulator.stop()


@pytest.fixture
def chain(tmp_path: Path, now: datetime, simulator: Simulator) -> Iterator[Chain]:
    settings = Settings.read(
        {
            "SKYBLEND_DATA": str(tmp_path),
            "SKYBLEND_REALM": "simulated",
            "SKYBLEND_OPEN_METEO_BACKFILL_DAYS": "5",
            **simulator.settings,
        }
    )
    runtime = runtime_for(settings)
    defaults.add_if_new(runtime.storage)
    issuing = now + 5 * MINUTE  # after all that is received here, and no turn of the hour between
    predict = create_app(runtime, now=lambda: issuing)
    yield Chain(runtime, router(apps(runtime) | {"predict": predict}))
    runtime.bus.close()


def test_a_tick_becomes_a_forecast(chain: Chain, now: datetime) -> None:
    assert chain.tick(now) > 0
    answer = chain.get(f"{BERLIN}&quantiles=0.1,0.9")
    assert answer["simulated"] is True
    hourly = answer["hourly"]
    assert isinstance(hourly, dict)
    known = [
        row
        for row in zip(hourly["temperature_2m_p10"], hourly["temperature_2m_p90"], strict=True)
        if None not in row
    ]
    assert known
    assert all(low < high for low, high in known)


def test_every_raw_object_is_recorded_and_none_refused(chain: Chain, now: datetime) -> None:
    chain.tick(now)
    raw = [listed.name for listed in chain.runtime.storage.list(names.RAW)]
    assert all(chain.runtime.storage.generation(names.processed(name)) for name in raw)
    assert chain.objects(names.QUARANTINE) == {}
    assert chain.runtime.bus.pending() == 0


def test_a_repeated_tick_changes_nothing(chain: Chain, now: datetime) -> None:
    chain.tick(now)
    before = chain.objects(names.RAW, names.FORECASTS, names.OBSERVATIONS, names.LATEST)
    segments = chain.objects(names.LEDGER)
    assert chain.tick(now) == 0
    assert chain.objects(names.RAW, names.FORECASTS, names.OBSERVATIONS, names.LATEST) == before
    assert chain.objects(names.LEDGER) == segments


def test_events_that_come_again_in_any_order_change_nothing(chain: Chain, now: datetime) -> None:
    chain.tick(now)
    kept = (names.RAW, names.FORECASTS, names.OBSERVATIONS, names.LATEST, names.LEDGER)
    before = chain.objects(*kept)
    raw = [listed.name for listed in chain.runtime.storage.list(names.RAW)] * 2
    random.Random(7).shuffle(raw)
    for name in raw:
        chain.runtime.bus.publish(RawStored(object=name), trace="again")
    chain.drain()
    assert chain.objects(*kept) == before


def test_records_lost_with_their_marks_are_made_again_the_same(chain: Chain, now: datetime) -> None:
    chain.tick(now)
    kept = (names.FORECASTS, names.OBSERVATIONS, names.LATEST)
    before = chain.objects(*kept)
    storage = chain.runtime.storage
    for prefix in (*kept, names.PROCESSED):
        for listed in list(storage.list(prefix)):
            storage.delete(listed.name)
    for listed in list(storage.list(names.RAW)):
        chain.runtime.bus.publish(RawStored(object=listed.name), trace="again")
    chain.drain()
    assert chain.objects(*kept) == before


def test_what_was_stored_and_never_announced_is_announced_by_a_later_tick(
    chain: Chain, now: datetime
) -> None:
    collect(chain.runtime, now)
    for delivery in chain.runtime.bus.lease(1000):  # as if the kill had come before the publish
        chain.runtime.bus.ack(delivery.id)
    storage = chain.runtime.storage
    storage.delete(names.ANNOUNCED)
    chain.tick(now + MINUTE)
    raw = [listed.name for listed in storage.list(names.RAW)]
    assert all(storage.generation(names.processed(name)) for name in raw)
    assert chain.get(BERLIN)


def test_a_trace_travels_from_the_tick_to_the_mark(chain: Chain, now: datetime) -> None:
    report = collect(chain.runtime, now)
    envelopes = [json.loads(one.envelope) for one in chain.runtime.bus.lease(1000)]
    assert {one["message"]["attributes"]["trace"] for one in envelopes} == {report.trace}


def test_a_source_that_is_down_leaves_the_others_and_the_forecast(
    chain: Chain, now: datetime
) -> None:
    chain.tick(now)
    environ = dict(chain.runtime.settings.environ)
    environ["SKYBLEND_OPEN_METEO_FORECAST_URL"] = "http://127.0.0.1:9/v1/forecast"
    broken = runtime_for(Settings.read(environ))
    report = collect(broken, now + HOUR)
    assert report.failures
    assert {failure.endpoint for failure in report.failures} == {"forecast"}
    assert chain.get(BERLIN)
    broken.bus.close()
