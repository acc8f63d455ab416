"""What every bus does, seen from an endpoint: delivered at least once, tried again, given up."""

import json
import os
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Protocol

import pytest
from emulators import PROJECT, emulator_address, new_prefix, served, subscribed
from google.protobuf.message import Message
from skyblend.protos.v1.events_pb2 import RawStored, RecordsReady
from skyblend.runtime.bus import MAX_ATTEMPTS, ROUTES, Bus
from skyblend.runtime.bus.delivery import Deliverer, Unreachable
from skyblend.runtime.bus.memory import MemoryBus
from skyblend.runtime.bus.pubsub import PubsubBus
from skyblend.runtime.bus.push import Push, decode
from skyblend.runtime.bus.sqlite import SqliteBus

IS_FULL = os.environ.get("SKYBLEND_PROVE") == "1"
Endpoint = Callable[[str, Push, Mapping[str, str]], int]


class Place(Protocol):
    """A bus with one endpoint for all its pushes, however it gets there."""

    bus: Bus
    endpoint: Endpoint
    outage: int  # pushes that meet nobody, for as long as a test may take

    def close(self) -> None: ...

    def settle(self) -> None:
        """Deliver, with all waits between tries, until nothing more happens."""
        ...

    def restart(self) -> None:
        """End what delivers and start it again."""
        ...

    def given_up(self) -> list[Push]: ...


class SqlitePlace:
    """The SQLite bus under a clock that jumps over the waits."""

    def __init__(self, path: Path) -> None:
        self.path, self.now, self.outage = path, 1_800_000_000.0, 3 * MAX_ATTEMPTS
        self.endpoint: Endpoint = lambda path, push, headers: 204
        self.bus = self._open()

    def _open(self) -> SqliteBus:
        return SqliteBus(self.path, clock=lambda: self.now)

    def _post(self, path: str, body: bytes, headers: Mapping[str, str]) -> int:
        return self.endpoint(path, decode(body), headers)

    def settle(self) -> None:
        deliverer = Deliverer(self.bus, self._post, token="t" * 40)
        while self.bus.pending():
            deliverer.drain()
            self.now += 601

    def restart(self) -> None:
        self.bus.close()
        self.bus = self._open()

    def given_up(self) -> list[Push]:
        return [decode(letter.envelope) for letter in self.bus.dead_letters()]

    def close(self) -> None:
        self.bus.close()


class MemoryPlace:
    """The bus in memory, which has no waits; what is there outlives whoever delivers."""

    def __init__(self, _: Path) -> None:
        self.bus, self.outage = MemoryBus(), 3 * MAX_ATTEMPTS
        self.endpoint: Endpoint = lambda path, push, headers: 204

    def settle(self) -> None:
        self.bus.deliver(lambda path, body, headers: self.endpoint(path, decode(body), headers))

    def restart(self) -> None:
        """Nothing runs between two deliveries."""

    def given_up(self) -> list[Push]:
        return [decode(letter.envelope) for letter in self.bus.dead_letters()]

    def close(self) -> None:
        self.bus.close()


class PublishedBus(PubsubBus):
    """The Pub/Sub bus, and how many messages it published, and how many of them again."""

    published = replayed = 0

    def publish_all(self, events: Iterable[Message], *, trace: str) -> list[str]:
        ids = super().publish_all(events, trace=trace)
        self.published += len(ids)
        return ids

    def replay_all(self, ids: Collection[str]) -> list[str]:
        done = super().replay_all(ids)
        self.published += len(done)
        self.replayed += len(done)
        return done


class PubsubPlace:
    """Google's emulator, which pushes over HTTP by itself and tries again each second."""

    def __init__(self, _: Path) -> None:
        emulator_address()
        self.prefix, self.outage = new_prefix(), MAX_ATTEMPTS + 1
        self.endpoint: Endpoint = lambda path, push, headers: 503
        self.tries, self.done = Counter[str](), set[str]()
        self._stack = ExitStack()
        subscribed(self.prefix, self._stack.enter_context(served(self._answer)))
        self.bus = PublishedBus(PROJECT, prefix=self.prefix)

    def _answer(self, path: str, body: bytes) -> int:
        id_ = json.loads(body)["message"]["messageId"]
        try:
            status = self.endpoint(path, decode(body), {})
        except Unreachable:
            status = 503  # a refused connection is no other failure to Pub/Sub
        if status == 204:
            self.done.add(id_)
        self.tries[id_] += 1
        return status

    def settle(self) -> None:
        end = time.monotonic() + 60
        while len(self.done) + len(self._spent()) < self.bus.published:
            assert time.monotonic() < end, f"{self.tries} of {self.bus.published} published"
            time.sleep(0.02)

    def _spent(self) -> list[str]:
        return [
            id_
            for id_, tries in self.tries.items()
            if tries >= MAX_ATTEMPTS and id_ not in self.done
        ]

    def restart(self) -> None:
        self.bus.close()
        made, self.bus = self.bus, PublishedBus(PROJECT, prefix=self.prefix)
        self.bus.published = made.published

    def given_up(self) -> list[Push]:
        expected = len(self._spent()) - self.bus.replayed
        while len(letters := self.bus.dead_letters() if expected else []) < expected:
            time.sleep(0.02)  # the letter is on its way
        return [decode(letter.envelope) for letter in letters]

    def close(self) -> None:
        self.bus.close()
        self._stack.close()


@pytest.fixture(params=["memory", "sqlite", "pubsub"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    places: dict[str, Callable[[Path], Place]] = {
        "memory": MemoryPlace,
        "sqlite": SqlitePlace,
        "pubsub": PubsubPlace,
    }
    made = places[request.param](tmp_path / "bus.sqlite")
    yield made
    made.close()


class Answers:
    """An endpoint that gives the listed statuses, then 204, and remembers what came."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.came = list(statuses), list[Push]()

    def __call__(self, path: str, push: Push, headers: Mapping[str, str]) -> int:
        assert path == ROUTES[push.type]
        self.came.append(push)
        return self.statuses.pop(0) if self.statuses else 204


def test_an_event_arrives_whole_at_the_endpoint_of_its_type(place: Place) -> None:
    place.endpoint = answers = Answers()
    event = RawStored(object="raw/x/a.pb", source="x")
    event.received_at.FromJsonString("2026-11-20T10:00:00.123456Z")
    place.bus.publish(event, trace="abc")
    place.settle()
    assert answers.came == [Push("RawStored", event, "abc")]


def test_each_type_has_its_endpoint(place: Place) -> None:
    place.endpoint = answers = Answers()
    place.bus.publish(RawStored(object="a"), trace="t")
    place.bus.publish(RecordsReady(object="a", latest_places=["x", "y"], forecasts=7), trace="t")
    place.settle()
    assert sorted(push.type for push in answers.came) == ["RawStored", "RecordsReady"]


@pytest.mark.parametrize("status", [400, 401, 404, 500, 503] if IS_FULL else [400, 503])
def test_trouble_is_no_acknowledgement(place: Place, status: int) -> None:
    place.endpoint = answers = Answers(status)
    place.bus.publish(RawStored(object="a"), trace="t")
    place.settle()
    assert len(answers.came) == 2
    assert place.given_up() == []


def test_after_five_answers_it_is_a_dead_letter_and_others_go_on(place: Place) -> None:
    if isinstance(place, PubsubPlace) and not IS_FULL:
        pytest.skip("takes 6 s with Pub/Sub's emulator: make prove")
    came: list[str] = []

    def endpoint(path: str, push: Push, headers: Mapping[str, str]) -> int:
        came.append(push.event.object)  # type: ignore[attr-defined]
        return 500 if came[-1] == "bad" else 204

    place.endpoint = endpoint
    for name in ("bad", "good", "fine"):
        place.bus.publish(RawStored(object=name), trace="t")
    place.settle()
    assert came.count("bad") == MAX_ATTEMPTS == 5
    assert came.count("good") == came.count("fine") == 1
    assert [push.event for push in place.given_up()] == [RawStored(object="bad")]


def test_an_endpoint_that_is_down_for_long_loses_nothing(place: Place) -> None:
    """The laptop's bus waits for it; Pub/Sub counts each try and makes a dead letter of it, which
    comes again when it is replayed."""
    if isinstance(place, PubsubPlace) and not IS_FULL:
        pytest.skip("takes 15 s with Pub/Sub's emulator: make prove")
    tries = 0

    def endpoint(path: str, push: Push, headers: Mapping[str, str]) -> int:
        nonlocal tries
        tries += 1
        if tries <= place.outage:
            raise Unreachable("connection refused")
        return 204

    place.endpoint = endpoint
    place.bus.publish(RawStored(object="a"), trace="t")
    place.settle()
    while place.given_up() and tries <= place.outage:
        place.bus.replay_all([letter.id for letter in place.bus.dead_letters()])
        place.settle()
    assert tries == place.outage + 1
    assert place.bus.dead_letters() == []


def test_what_was_published_survives_a_restart(place: Place) -> None:
    for number in range(10):
        place.bus.publish(RawStored(object=str(number)), trace="t")
    place.restart()
    place.endpoint = answers = Answers()
    place.settle()
    came = {push.event.object for push in answers.came}  # type: ignore[attr-defined]
    assert came == {str(number) for number in range(10)}


def test_several_events_are_published_at_once(place: Place) -> None:
    place.endpoint = answers = Answers()
    events = [RawStored(object=str(number)) for number in range(150)]
    ids = place.bus.publish_all(events, trace="t")
    place.settle()
    assert len(set(ids)) == len(answers.came) == 150
    assert {push.event.object for push in answers.came} == {one.object for one in events}  # type: ignore[attr-defined]


def test_what_an_endpoint_publishes_is_delivered_too(place: Place) -> None:
    came: list[str] = []

    def endpoint(path: str, push: Push, headers: Mapping[str, str]) -> int:
        came.append(push.type)
        if push.type == "RawStored":
            place.bus.publish(RecordsReady(object="a"), trace=push.trace)
        return 204

    place.endpoint = endpoint
    place.bus.publish(RawStored(object="a"), trace="t")
    place.settle()
    assert came == ["RawStored", "RecordsReady"]


def test_a_message_that_is_no_event_is_refused(place: Place) -> None:
    with pytest.raises(TypeError, match="expected one of RawStored"):
        place.bus.publish(RawStored().received_at, trace="t")
