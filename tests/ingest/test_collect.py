import json
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from skyblend.ingest import raw
from skyblend.ingest.collect import PATIENCE, collect
from skyblend.ingest.task import cut
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names, places
from skyblend.runtime.bus.push import decode
from skyblend.runtime.http import Retry
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import Absent

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.fixture
def tick(runtime, fake, provider):
    """One tick of the fake source at a time after noon; the clock shows the same."""

    def run(after=timedelta(0), sources=None):
        now = NOON + after
        return collect(
            runtime, now, sources=sources or {"fake": fake}, http=provider, clock=lambda: now
        )

    return run


def announced(runtime):
    return [decode(one.envelope).event.object for one in runtime.bus.lease(1000)]


def test_slots_begin_at_1970():
    time = datetime(2026, 11, 20, 13, 47, 12, tzinfo=UTC)
    assert cut(time, HOUR) == datetime(2026, 11, 20, 13, tzinfo=UTC)
    assert cut(time, timedelta(hours=6)) == NOON
    assert cut(time, timedelta(minutes=20)) == datetime(2026, 11, 20, 13, 40, tzinfo=UTC)


def test_a_tick_stores_and_announces_each_task(runtime, tick, add_places):
    add_places("a", "b", "c")
    report = tick()
    # two places a call: two forecast objects; a back-fill for each of three places
    stored = sorted(report.objects)
    assert [name.rpartition("-")[0] for name in stored] == [
        *["raw/fake/2026-11-20/forecast-20261120T120000Z"] * 2,
        *["raw/fake/once/past-once"] * 3,
    ]
    assert sorted(announced(runtime)) == stored
    assert len(report.events) == 5
    assert report.failures == ()


def test_an_answer_is_kept_as_it_came_without_secrets(runtime, tick, add_places):
    add_places("a")
    name = next(name for name in tick().objects if "forecast" in name)
    [answer] = raw.answers(runtime.storage, name)
    assert answer.body == b"a"
    assert answer.fetch.source == "fake"
    assert answer.fetch.status == 200
    assert [place.id for place in answer.fetch.places] == ["a"]
    assert answer.fetch.tick.ToDatetime(UTC) == NOON
    assert dict(answer.fetch.headers) == {"content-type": "application/json"}
    assert "s3cret" not in str(answer)
    assert "key=***" in answer.fetch.url


def test_forecasts_are_asked_before_backfills(provider, tick, add_places):
    add_places("a", "b")
    tick()
    assert provider.asked[0] == "forecast a,b"


def test_a_repeated_tick_does_nothing(runtime, provider, tick, add_places):
    add_places("a", "b", "c")
    tick()
    asked, pending = len(provider.asked), runtime.bus.pending()
    assert tick().objects == ()
    assert tick(59 * MINUTE).failures == ()
    assert len(provider.asked) == asked
    assert runtime.bus.pending() >= pending


def test_the_next_slot_asks_again_but_backfills_only_once(provider, tick, add_places):
    add_places("a")
    tick()
    provider.asked.clear()
    tick(HOUR)
    tick(25 * HOUR)  # the back-fill would ask for another day now
    assert provider.asked == ["forecast a", "forecast a"]


def test_a_new_place_is_asked_without_the_others(provider, tick, add_places):
    add_places("a", "b")
    tick()
    provider.asked.clear()
    add_places("c")
    tick(MINUTE)
    tick(2 * MINUTE)
    assert sorted(provider.asked) == ["forecast c", "past c"]


def test_without_places_nothing_is_asked(provider, tick):
    assert tick().objects == ()
    assert provider.asked == []


def test_an_unknown_source_is_refused(runtime, fake, provider):
    with pytest.raises(KeyError):
        collect(runtime, NOON, source="other", sources={"fake": fake}, http=provider)


def test_a_failed_call_stays_due_and_the_rest_is_stored(provider, tick, add_places):
    add_places("a", "b", "c")

    def fail(url, params):
        if params["ids"] == "c" and "forecast" in url:
            raise Retry("fake forecast c", "500", after=60, status=500)

    provider.fail = fail
    report = tick()
    assert [(one.endpoint, one.reason) for one in report.failures] == [
        ("forecast", "fake forecast c 500 retry in 60 s")
    ]
    assert len(report.objects) == 4  # of five
    assert report.sources[0].left == 1
    provider.fail = lambda url, params: None
    provider.asked.clear()
    tick(MINUTE)
    assert provider.asked == ["forecast c"]


def test_a_place_is_stored_with_all_its_answers_or_not_at_all(
    runtime, make_fake, provider, add_places
):
    add_places("a", "b", "c", "d", "e", "f")
    source = make_fake(schedules=(make_fake().schedules[0],), calls_per_batch=2)
    broken = True

    def fail(url, params):
        if broken and params["ids"] == "c,d" and params["part"] == "1":
            raise Retry("fake", "ReadTimeout", after=60)

    provider.fail = fail
    report = collect(runtime, NOON, sources={"fake": source}, http=provider)
    kept = {place.id for name in report.objects for place in raw.places(runtime.storage, name)}
    assert kept == {"a", "b", "e", "f"}
    broken = False
    again = collect(runtime, NOON + MINUTE, sources={"fake": source}, http=provider)
    kept = [place.id for name in again.objects for place in raw.places(runtime.storage, name)]
    assert kept == ["c", "d", "c", "d"]


def test_a_busy_provider_is_left_alone_as_long_as_it_asks(provider, tick, add_places):
    add_places("a")

    def fail(url, params):
        raise Retry("fake", "429", after=600, status=429)

    provider.fail = fail
    report = tick()
    assert report.sources[0].until == NOON + timedelta(seconds=600)
    provider.asked.clear()
    assert tick(9 * MINUTE).sources[0].until == NOON + timedelta(seconds=600)
    assert provider.asked == []
    provider.fail = lambda url, params: None
    assert len(tick(10 * MINUTE).objects) == 2


def test_a_dead_provider_is_not_asked_for_everything(provider, make_fake, runtime, add_places):
    add_places(*(f"p{i:02}" for i in range(40)))
    source = make_fake()

    def fail(url, params):
        raise Retry("fake", "ConnectTimeout", after=60)

    provider.fail = fail
    report = collect(runtime, NOON, sources={"fake": source}, http=provider)
    # four threads may each have begun a call before the third failure was counted
    assert PATIENCE <= len(provider.asked) <= PATIENCE + 3
    # 20 calls for two places each, in 4 tasks, and 40 back-fills
    assert report.sources[0].left == 44


def test_one_source_that_fails_stops_no_other(make_fake, provider, tick, add_places):
    add_places("a")

    def fail(url, params):
        if url.startswith("https://down."):
            raise Retry("down", "ConnectTimeout", after=60)

    provider.fail = fail
    report = tick(sources={name: make_fake(name=name) for name in ("down", "up")})
    down, up = report.sources
    assert (len(down.objects), len(up.objects)) == (0, 2)


def test_options_that_cannot_be_are_a_failure_of_that_source_only(make_fake, provider, tmp_path):
    runtime = runtime_for(
        Settings.read({"SKYBLEND_DATA": str(tmp_path), "SKYBLEND_WRONG_MODELS": "none"})
    )
    places.add(runtime.storage, [Place(id="a", latitude=1, longitude=2, collect=True)])
    sources = {name: make_fake(name=name) for name in ("wrong", "right")}
    wrong, right = collect(runtime, NOON, sources=sources, http=provider).sources
    assert wrong.failures[0].reason == "models: expected names, got 'none'"
    assert len(right.objects) == 2
    runtime.bus.close()


@pytest.mark.parametrize("refusal", [(400, b'{"error":true}'), (404, b"<html>")])
def test_a_refusal_is_stored_raw_and_a_refused_backfill_is_asked_again_in_an_hour(
    runtime, provider, tick, add_places, refusal
):
    add_places("a")
    provider.fail = lambda url, params: refusal
    stored = tick().objects
    kept = [next(raw.answers(runtime.storage, name)).fetch.status for name in stored]
    assert kept == [refusal[0]] * 2
    provider.asked.clear()
    tick(30 * MINUTE)
    assert provider.asked == []
    provider.fail = lambda url, params: None
    tick(HOUR)
    tick(2 * HOUR)
    assert sorted(provider.asked) == ["forecast a", "forecast a", "past a"]


def mark(runtime, name, **counts):
    """What preprocess writes last."""
    said = {"source": "fake", "forecasts": 0, "observations": 0, "quarantined": 0}
    said |= {"decoded_at": "2026-11-20T12:00:00Z", **counts}
    runtime.storage.write(names.processed(name), json.dumps(said).encode())


def test_a_backfill_of_which_all_was_refused_is_asked_again_in_an_hour(
    runtime, provider, tick, add_places
):
    add_places("a")
    first = next(name for name in tick().objects if "/once/" in name)
    mark(runtime, first, quarantined=1)
    tick(30 * MINUTE)
    assert provider.asked.count("past a") == 1
    second = next(name for name in tick(HOUR).objects if "/once/" in name)
    assert second != first
    assert provider.asked.count("past a") == 2
    mark(runtime, second, observations=5, quarantined=1)
    tick(3 * HOUR)
    assert provider.asked.count("past a") == 2


def test_what_was_stored_but_not_announced_is_announced_at_a_later_tick(runtime, tick, add_places):
    add_places("a")
    stored = sorted(tick().objects)
    for one in runtime.bus.lease(10):  # as if the process had died before publishing
        runtime.bus.ack(one.id)
    tick(MINUTE)
    assert runtime.bus.pending() == 0  # looked for every three minutes only
    tick(3 * MINUTE)
    assert sorted(announced(runtime)) == stored


@pytest.mark.parametrize("damaged", [b"", b"\x1f\x8bno gzip", b"\x05ab"])
def test_an_object_that_cannot_be_read_is_announced_for_preprocess_to_refuse(
    runtime, tick, add_places, damaged
):
    add_places("a")
    for name in tick().objects:
        runtime.storage.write(name, damaged)
    for one in runtime.bus.lease(10):
        runtime.bus.ack(one.id)
    tick(3 * MINUTE)
    assert {decode(one.envelope).event.source for one in runtime.bus.lease(10)} == {"fake"}


def test_what_is_processed_is_not_announced_again(runtime, tick, add_places):
    add_places("a")
    for name in tick().objects:
        mark(runtime, name, forecasts=1)
    for one in runtime.bus.lease(10):
        runtime.bus.ack(one.id)
    tick(3 * MINUTE)
    assert runtime.bus.pending() == 0


def test_the_trace_travels_with_the_events(runtime, tick, add_places):
    add_places("a")
    report = tick()
    assert {decode(one.envelope).trace for one in runtime.bus.lease(10)} == {report.trace}


def test_the_wait_that_a_provider_asked_for_outlives_the_process(
    runtime, provider, tick, add_places
):
    add_places("a")
    with pytest.raises(Absent):
        runtime.storage.read("state/retry/fake.json")

    def fail(url, params):
        raise Retry("fake key=***", "503", after=5, status=503)

    provider.fail = fail
    tick()
    state = json.loads(runtime.storage.read("state/retry/fake.json").data)
    assert state["until"] == "2026-11-20T12:00:05+00:00"
    assert "503" in state["reason"]


class Counting:
    """A bucket that counts what is done to it."""

    def __init__(self, storage):
        self._storage, self.calls = storage, Counter()

    def __getattr__(self, name):
        self.calls[name] += 1
        return getattr(self._storage, name)


def test_a_quiet_tick_costs_the_same_for_many_places_as_for_few(
    runtime, fake, provider, add_places
):
    counted = []
    for count in (2, 40):
        add_places(*(f"{count}-{i:02}" for i in range(count)))
        bucket = Counting(runtime.storage)
        seen = replace(runtime, storage=bucket)
        for minute in range(8):
            now = NOON + count * HOUR + minute * MINUTE
            bucket.calls.clear()
            report = collect(
                seen, now, sources={"fake": fake}, http=provider, clock=lambda now=now: now
            )
            for name in report.objects:
                mark(runtime, name, forecasts=1)
        counted.append(dict(bucket.calls))
    assert counted[0] == counted[1]
    assert sum(counted[0].values()) <= 6


def test_a_backfill_is_asked_again_of_a_place_that_moved_and_of_other_models(
    runtime, provider, make_fake, tick, add_places
):
    add_places("a")
    for name in tick().objects:
        mark(runtime, name, forecasts=1)
    tick(MINUTE)
    kept = json.loads(runtime.storage.read(names.backfilled("fake", "past")).data)["done"]
    assert len(kept) == 1
    moved = Place(id="a", latitude=5, longitude=5, collect=True)
    places.add(runtime.storage, [moved], replace=True)
    provider.asked.clear()
    for name in tick(2 * MINUTE).objects:
        mark(runtime, name, forecasts=1)
    tick(3 * MINUTE)
    assert provider.asked.count("past a") == 1
    again = json.loads(runtime.storage.read(names.backfilled("fake", "past")).data)["done"]
    assert len(again) == 1
    assert again != kept
    tick(4 * MINUTE, sources={"fake": make_fake(calls_per_batch=2)})
    assert provider.asked.count("past a") == 3
