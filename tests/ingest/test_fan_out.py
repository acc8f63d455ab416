"""A tick whose tasks go over the bus brings what it brings when it collects them itself."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Barrier, BrokenBarrierError, Event, Thread

import pytest
from flask import Flask, Response, request
from skyblend.cli.apps import apps, router, service_of
from skyblend.ingest import raw
from skyblend.ingest.collect import PATIENCE, collect
from skyblend.ingest.collect_task import UnknownTask, collect_task
from skyblend.ingest.due import PARALLEL
from skyblend.ingest.fan_out import AGAIN
from skyblend.ingest.service import respond
from skyblend.protos.v1.events_pb2 import CollectTask, RawStored
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime import places as known_places
from skyblend.runtime.bus import ROUTES, push
from skyblend.runtime.bus.delivery import Deliverer
from skyblend.runtime.bus.post import into_wsgi
from skyblend.runtime.bus.sqlite import SqliteBus
from skyblend.runtime.http import Retry
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import StorageError
from skyblend.runtime.tables import Query
from skyblend.simulator.server import serve

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
IDS = tuple(f"p{i:02}" for i in range(11))


@pytest.fixture
def make_runtime(tmp_path):
    """A runtime of its own folder, with places; up to `fan_out` tasks are the tick's own."""
    made = []

    def make(fan_out, ids=IDS):
        settings = {"SKYBLEND_DATA": str(tmp_path / f"{len(made)}"), "SKYBLEND_FAN_OUT": fan_out}
        runtime = runtime_for(Settings.read({name: str(value) for name, value in settings.items()}))
        add(runtime, *ids)
        made.append(runtime)
        return runtime

    yield make
    for one in made:
        one.bus.close()


@pytest.fixture
def runtime(make_runtime):
    """One whose ticks fan out when they have more than two tasks."""
    return make_runtime(2)


@pytest.fixture
def tick(runtime, fake, provider):
    """One tick of the fake source at a time after noon; the clock shows the same."""

    def run(after=timedelta(0), sources=None):
        now = NOON + after
        return collect(
            runtime, now, sources=sources or {"fake": fake}, http=provider, clock=lambda: now
        )

    return run


@pytest.fixture
def deliver(runtime, fake, provider):
    """Deliver what is on the bus: tasks are collected, all else is acknowledged."""

    def run(after=timedelta(0), sources=None, http=provider, runtime=runtime):
        app = Flask("ingest")

        @app.post("/<path:path>")
        def answer(path):
            event = push.decode(request.get_data()).event
            if isinstance(event, CollectTask):
                now = NOON + after
                collect_task(
                    runtime, event, sources=sources or {"fake": fake}, http=http, clock=lambda: now
                )
            return Response(status=204)

        return Deliverer(runtime.bus, into_wsgi(app), token="").drain()

    return run


def add(runtime, *ids):
    known_places.add(
        runtime.storage,
        [Place(id=id_, latitude=int(id_[1:]), longitude=10, collect=True) for id_ in ids],
    )


def bucket(runtime):
    return {one.name: runtime.storage.read(one.name).data for one in runtime.storage.list("raw/")}


def on_the_bus(runtime, kind=CollectTask):
    """The events of the bus, which are taken from it."""
    found = []
    for one in runtime.bus.lease(1000):
        found.append(push.decode(one.envelope).event)
        runtime.bus.ack(one.id)
    return [event for event in found if isinstance(event, kind)]


@pytest.fixture
def inline(make_runtime, fake, provider):
    """The runtime of a tick that collected all by itself."""
    runtime = make_runtime(0)
    collect(runtime, NOON, sources={"fake": fake}, http=provider, clock=lambda: NOON)
    return runtime


def test_the_raw_objects_are_those_of_a_tick_that_collects_itself(
    inline, runtime, tick, deliver, provider
):
    asked = sorted(provider.asked)
    provider.asked.clear()
    report = tick()
    assert report.objects == ()
    assert provider.asked == []
    # 11 places, 2 a call: 6 calls in 3 tasks of 2; and a back-fill for each place
    assert report.sources[0].published == report.sources[0].left == len(report.events) == 3 + 11
    deliver()
    assert bucket(runtime) == bucket(inline)
    assert sorted(provider.asked) == asked
    assert tick(MINUTE).sources[0].left == 0


def test_a_tick_with_few_tasks_collects_them_itself(runtime, make_runtime, fake, provider):
    few = make_runtime(14)  # as many as there are
    report = collect(few, NOON, sources={"fake": fake}, http=provider, clock=lambda: NOON)
    assert len(report.objects) == 14
    assert report.sources[0].published == 0


def test_the_tasks_of_all_sources_count_together(make_runtime, make_fake, provider):
    runtime = make_runtime(3, ids=("p00", "p01"))
    sources = {name: make_fake(name=name) for name in ("one", "two")}
    report = collect(runtime, NOON, sources=sources, http=provider, clock=lambda: NOON)
    assert [one.published for one in report.sources] == [3, 3]


def test_the_next_tick_does_not_publish_again_what_is_on_its_way(runtime, tick):
    published = len(tick().events)
    assert tick(MINUTE).events == ()
    assert tick(AGAIN - MINUTE).events == ()
    assert runtime.bus.pending() == published


def test_a_task_that_was_lost_comes_again_with_a_later_tick(runtime, tick, deliver, provider):
    tick()
    lost = on_the_bus(runtime)
    assert len(lost) == 14
    assert tick(AGAIN + MINUTE).sources[0].published == 14
    deliver(AGAIN + MINUTE)
    assert len(bucket(runtime)) == 14


def test_a_crash_before_publishing_only_delays_the_tasks(runtime, fake, provider, tick, deliver):
    class Broken(Exception):
        pass

    class BrokenBus:
        def publish_all(self, events, *, trace):
            raise Broken

    dying = type(runtime)(
        settings=runtime.settings,
        storage=runtime.storage,
        bus=BrokenBus(),
        access=runtime.access,
    )
    with pytest.raises(Broken):
        collect(dying, NOON, sources={"fake": fake}, http=provider, clock=lambda: NOON)
    assert tick(MINUTE).events == ()
    assert tick(AGAIN + MINUTE).sources[0].published == 14


def test_a_task_that_comes_twice_fetches_once(runtime, tick, deliver, provider):
    tick()
    twice = on_the_bus(runtime)
    for event in (*twice, *twice):
        runtime.bus.publish(event, trace="t")
    deliver()
    assert len(provider.asked) == len(set(provider.asked)) == 6 + 11
    assert len(bucket(runtime)) == 14


def test_a_task_whose_collector_was_killed_is_collected_by_another(runtime, tick, deliver):
    tick()
    killed = SqliteBus(runtime.bus.path)
    assert len(killed.lease(1000)) == 14
    killed.close()  # its leases are free, as those of a dead process
    assert deliver().done == 2 * 14  # each task, and the raw object that it became
    assert len(bucket(runtime)) == 14


def test_two_ticks_at_once_publish_each_task_once(runtime, fake, provider):
    together = Barrier(2)

    def run():
        together.wait(10)
        collect(runtime, NOON, sources={"fake": fake}, http=provider, clock=lambda: NOON)

    threads = [Thread(target=run) for _ in range(2)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    published = [(one.endpoint, *one.place_ids) for one in on_the_bus(runtime)]
    assert len(published) == len(set(published)) == 14


def test_a_place_that_is_added_meanwhile_is_asked_without_the_others(
    runtime, tick, deliver, provider
):
    tick()
    add(runtime, "p80")
    report = tick(MINUTE)
    assert report.sources[0].published == 0  # two tasks: the tick collects them itself
    assert sorted(provider.asked) == ["forecast p80", "past p80"]
    deliver(MINUTE)
    assert len(provider.asked) == 2 + 6 + 11
    assert tick(2 * MINUTE).sources[0].left == 0


def test_a_place_that_is_gone_meanwhile_is_not_asked_for(runtime, tick, deliver, provider):
    tick()
    left = [place for id_, place in known_places.read(runtime.storage).items() if id_ != "p00"]
    runtime.storage.delete(names.PLACES)
    known_places.add(runtime.storage, left)
    deliver()
    assert not any("p00" in asked for asked in provider.asked)
    assert tick(MINUTE).sources[0].left == 0


def test_a_task_of_places_that_are_all_gone_is_done(runtime, deliver, provider):
    event = CollectTask(source="fake", endpoint="forecast", place_ids=["nobody"])
    event.tick.FromDatetime(NOON)
    runtime.bus.publish(event, trace="t")
    assert deliver().done == 1
    assert provider.asked == []


def test_a_place_that_moved_meanwhile_is_asked_where_it_is_now(runtime, tick, deliver):
    tick()
    moved = Place(id="p00", latitude=-45, longitude=10, collect=True)
    known_places.add(runtime.storage, [moved], replace=True)
    deliver()
    stored = [place for name in bucket(runtime) for place in raw.places(runtime.storage, name)]
    assert {place.latitude for place in stored if place.id == "p00"} == {-45}
    assert tick(MINUTE).sources[0].left == 0


def test_a_provider_that_asks_for_patience_is_asked_by_no_other_task(
    runtime, tick, deliver, provider
):
    def fail(url, params):
        raise Retry("fake", "429", after=90, status=429)

    tick()
    provider.fail = fail
    counts = deliver()
    assert (counts.done, counts.later) == (14, 0)
    assert len(provider.asked) <= 2  # the two calls of one task
    provider.fail = lambda url, params: None
    assert tick(MINUTE).sources[0].until == NOON + timedelta(seconds=90)
    assert tick(2 * MINUTE).sources[0].published == 14  # at once, though it was on its way
    deliver(2 * MINUTE)
    assert len(bucket(runtime)) == 14


def test_a_dead_provider_is_not_asked_by_every_task(runtime, tick, deliver, provider):
    add(runtime, *(f"p{i}" for i in range(20, 60)))

    def fail(url, params):
        raise Retry("fake", "ConnectTimeout", after=60)

    tick()
    provider.fail = fail
    assert deliver().later == 0
    # the first task goes to PATIENCE, four of its calls at a time; the others learn of it
    assert PATIENCE <= len(provider.asked) <= PATIENCE + 3
    provider.fail = lambda url, params: None
    assert tick(2 * MINUTE).sources[0].published == 51 + 4


def test_tasks_of_one_source_at_once_ask_it_no_more_than_a_tick_would(
    runtime, tick, fake, provider
):
    add(runtime, *(f"p{i}" for i in range(20, 60)))
    crowd = Barrier(PARALLEL + 1)  # is passed where so many calls are under way at once
    crowded = []

    def fail(url, params):
        with suppress(BrokenBarrierError):
            crowded.append(crowd.wait(0.2))

    tick()
    provider.fail = fail
    forecasts = [one for one in on_the_bus(runtime) if one.endpoint == "forecast"]
    collecting = partial(collect_task, runtime, sources={"fake": fake}, http=provider)
    with ThreadPoolExecutor(len(forecasts)) as pool:
        reports = list(pool.map(lambda event: collecting(event, clock=lambda: NOON), forecasts))
    assert crowded == []
    assert sum(report.answers for report in reports) == 26  # 51 places, two a call


def test_a_task_that_finds_no_turn_stays_due(runtime, tick, fake, provider):
    """The request that waits for a turn would end without an answer."""
    tick()
    first, second, *_ = [one for one in on_the_bus(runtime) if one.endpoint == "forecast"]
    collecting = partial(collect_task, runtime, sources={"fake": fake}, http=provider)
    asked, go_on = Event(), Event()

    def wait(url, params):
        asked.set()
        assert go_on.wait(30)

    provider.fail = wait
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(collecting, first, clock=lambda: NOON)
        assert asked.wait(30)
        assert collecting(second, clock=lambda: NOON, turn_seconds=0.01).objects == ()
        go_on.set()
        assert len(slow.result().objects) == 1
    provider.fail = lambda url, params: None
    assert len(collecting(second, clock=lambda: NOON).objects) == 1


def test_a_task_of_a_time_that_cannot_be_is_no_trouble(runtime, tick, fake, provider):
    tick()
    event = next(one for one in on_the_bus(runtime) if one.endpoint == "forecast")
    event.tick.FromJsonString("9999-12-31T23:59:59Z")
    report = collect_task(runtime, event, sources={"fake": fake}, http=provider, clock=lambda: NOON)
    assert report.failures == ()


def test_what_a_provider_gave_of_a_task_is_stored_and_the_rest_comes_again(
    make_runtime, make_fake, provider, deliver
):
    runtime = make_runtime(1, ids=tuple(f"p{i:02}" for i in range(40)))
    sources = {"fake": make_fake(schedules=(make_fake().schedules[0],))}

    def fail(url, params):
        if "p02" in params["ids"]:
            raise Retry("fake", "ReadTimeout", after=60)

    provider.fail = fail
    collect(runtime, NOON, sources=sources, http=provider, clock=lambda: NOON)
    deliver(sources=sources, runtime=runtime)
    stored = {place.id for name in bucket(runtime) for place in raw.places(runtime.storage, name)}
    assert stored == {f"p{i:02}" for i in range(40)} - {"p02", "p03"}
    provider.fail = lambda url, params: None
    later = NOON + AGAIN + MINUTE
    [report] = collect(runtime, later, sources=sources, http=provider, clock=lambda: later).sources
    assert report.answers == 1


def test_trouble_with_the_bucket_is_tried_again(runtime, tick, fake, provider, deliver):
    class Full:
        def __init__(self, storage):
            self._storage = storage

        def __getattr__(self, name):
            return getattr(self._storage, name)

        def write(self, name, *_, **__):
            raise StorageError(name, "no space left")

    tick()
    event = on_the_bus(runtime)[0]
    troubled = type(runtime)(
        settings=runtime.settings,
        storage=Full(runtime.storage),
        bus=runtime.bus,
        access=runtime.access,
    )
    with pytest.raises(StorageError):
        collect_task(troubled, event, sources={"fake": fake}, http=provider, clock=lambda: NOON)
    runtime.bus.publish(event, trace="t")
    deliver()
    assert len(bucket(runtime)) == 1


def test_a_task_that_comes_after_the_next_slot_was_published_is_passed_over(
    runtime, tick, deliver, provider
):
    tick()
    tick(HOUR)
    deliver(HOUR)
    slots = [name.split("/forecast-")[1][:16] for name in bucket(runtime) if "forecast" in name]
    assert slots == ["20261120T130000Z"] * 3
    # the back-fills belong to no slot; those of noon came twice and were fetched once
    assert provider.asked.count("past p00") == 1


def test_what_is_kept_of_the_published_is_bounded(runtime, tick):
    sizes = []
    for hour in range(5):
        tick(hour * HOUR)
        sizes.append(len(json.loads(runtime.storage.read(names.fan_out("fake")).data)["tasks"]))
    assert sizes == [14] * 5


@pytest.mark.parametrize(
    ("event", "said"),
    [
        (CollectTask(source="sms", endpoint="forecast"), "source: expected one of fake, got 'sms'"),
        (CollectTask(source="fake", endpoint="x"), "endpoint: expected one of forecast, past, got"),
    ],
)
def test_a_task_that_is_not_known_here_is_refused(runtime, fake, event, said):
    with pytest.raises(UnknownTask, match=said):
        collect_task(runtime, event, sources={"fake": fake})


@pytest.fixture
def client(runtime):
    app = Flask("ingest")

    @app.route("/<path:path>", methods=["POST"])
    def answer(path):
        return respond(request, runtime)

    return app.test_client()


def pushed(event):
    return push.encode(event, trace="t", message_id="1", published_at=NOON)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (pushed(CollectTask(source="sms", endpoint="forecast")), 400),
        (pushed(CollectTask(source="open_meteo", endpoint="nowcast")), 400),
        (pushed(RawStored(object="raw/x")), 400),
        (b"{}", 400),
        (pushed(CollectTask(source="open_meteo", endpoint="forecast", place_ids=["gone"])), 204),
    ],
)
def test_the_endpoint_says_what_cannot_be(client, runtime, body, status):
    headers = {"Authorization": f"Bearer {runtime.token}", "Content-Type": "application/json"}
    answer = client.post(ROUTES["CollectTask"], data=body, headers=headers)
    assert answer.status_code == status


def test_the_endpoint_needs_a_credential(client):
    body = pushed(CollectTask(source="open_meteo", endpoint="forecast"))
    assert client.post(ROUTES["CollectTask"], json=json.loads(body)).status_code == 401


def test_one_port_hands_tasks_to_ingest():
    assert service_of("POST", ROUTES["CollectTask"]) == "ingest"


@pytest.fixture
def simulator():
    """Providers whose clock stands still, so that the same call has the same answer."""
    running = serve(now=lambda: NOON)
    yield running
    running.stop()


def records_of_a_tick(runtime):
    """The forecasts that a tick gives over the services' own endpoints, without when they came;
    and the types of the events that were pushed."""
    post, pushed = into_wsgi(router(apps(runtime))), []

    def spied(path, body, headers):
        pushed.append(path)
        return post(path, body, headers)

    headers = {"Authorization": f"Bearer {runtime.token}", "Content-Type": "application/json"}
    assert post("/v1/collect", json.dumps({"tick": NOON.isoformat()}).encode(), headers) == 200
    assert Deliverer(runtime.bus, spied, token=runtime.token).drain().later == 0
    table = runtime.tables.forecasts(Query(variables=("temperature_2m",)))
    columns = ("model", "place_id", "valid_at", "period", "temperature_2m", "raw")
    return sorted(zip(*(table[name].to_pylist() for name in columns), strict=True)), set(pushed)


def test_the_records_are_those_of_a_tick_that_collects_itself(tmp_path, simulator):
    found = []
    for fan_out in ("0", "1"):
        settings = {
            **simulator.settings,
            "SKYBLEND_DATA": str(tmp_path / fan_out),
            "SKYBLEND_FAN_OUT": fan_out,
            "SKYBLEND_OPEN_METEO_MODELS": "ecmwf_ifs025",
            "SKYBLEND_OPEN_METEO_BACKFILL_DAYS": "1",
        }
        runtime = runtime_for(Settings.read(settings))
        add(runtime, "p01", "p02", "p03")
        found.append(records_of_a_tick(runtime))
        runtime.bus.close()
    (inline, pushed), (fanned, pushed_too) = found
    assert inline == fanned
    assert len({row[1] for row in inline}) == 3
    assert pushed_too - pushed == {ROUTES["CollectTask"]}
