"""What Google's emulator does with our topics: what is given up is seen, shown and replayed by the
commands, a repeat changes nothing, and a push that takes too long comes again."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from click.testing import CliRunner, Result
from emulators import PROJECT, emulator_address, new_prefix, served, subscribed
from processes import until
from skyblend.cli.apps import apps
from skyblend.cli.main import cli
from skyblend.ingest.uploads import store
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.bus import ROUTES, topics
from skyblend.runtime.bus.emulator import ADDRESS, Patience, arrange
from skyblend.runtime.bus.pubsub import PubsubBus
from skyblend.runtime.bus.push import attributes, decode
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Misconfigured, Settings

OBSERVATIONS = b"""\
place_id,latitude,longitude,elevation,observed_at,temperature_2m
Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,1.5
"""
SLOW = pytest.mark.skipif(
    os.environ.get("SKYBLEND_PROVE") != "1", reason="waits for five pushes or more: make prove"
)


@dataclass
class Endpoint:
    """Gives one status to all pushes, and keeps what came."""

    status: int = 503
    came: list[bytes] = field(default_factory=list)

    def __call__(self, path: str, body: bytes) -> int:
        self.came.append(body)
        return self.status


@pytest.fixture
def prefix() -> str:
    emulator_address()
    return new_prefix()


@pytest.fixture
def bus(prefix: str) -> Iterator[PubsubBus]:
    made = PubsubBus(PROJECT, prefix=prefix)
    yield made
    made.close()


@pytest.fixture
def environ(prefix: str, tmp_path: Path) -> dict[str, str]:
    return {
        "SKYBLEND_DATA": str(tmp_path),
        "SKYBLEND_BUS": "pubsub",
        "SKYBLEND_AUTH": "none",
        "SKYBLEND_PROJECT": PROJECT,
        "SKYBLEND_TOPIC_PREFIX": prefix,
    }


@pytest.fixture
def run(environ: dict[str, str], tmp_path: Path) -> Callable[..., Result]:
    return lambda *arguments: CliRunner().invoke(
        cli, ["--data", str(tmp_path), *arguments], env=environ
    )


def publish_foreign(prefix: str) -> None:
    """A message without data, as no sender of ours makes it."""
    from google.cloud.pubsub_v1 import PublisherClient  # noqa: PLC0415

    with PublisherClient() as client:
        topic = client.topic_path(PROJECT, topics.topic(prefix, "RawStored"))
        client.publish(topic, b"", type="RawStored").result(timeout=10)


def test_what_was_given_up_is_listed_shown_and_replayed(
    bus: PubsubBus, prefix: str, run: Callable[..., Result]
) -> None:
    endpoint, event = Endpoint(), RawStored(object="raw/x")
    with served(endpoint) as url:
        subscribed(prefix, url)
        bus.publish(event, trace="f" * 32)
        publish_foreign(prefix)
        until(lambda: len(endpoint.came) == 10)
        until(lambda: len(bus.dead_letters()) == 2)
        (line, foreign) = run("dead-letters", "list").output.splitlines()
        id_ = line.split()[0]
        assert "RawStored  raw/x  5 pushes of" in line
        shown = json.loads(run("dead-letters", "show", id_).output)
        assert (shown["trace"], shown["event"]) == ("f" * 32, {"object": "raw/x"})
        assert json.loads(run("dead-letters", "show", foreign.split()[0]).output)["event"] == {
            "text": ""
        }
        endpoint.status = 204
        result = run("dead-letters", "replay", id_)
        assert result.output == "1 published again: Pub/Sub delivers them\n"
        until(lambda: len(endpoint.came) == 11)
        assert decode(endpoint.came[-1]) == ("RawStored", event, "f" * 32)
        assert "Pub/Sub, 1 given up" in run("status").output
        assert run("dead-letters", "replay", "--all").exit_code == 0
        assert run("dead-letters", "list").output == ""
        absent = run("dead-letters", "replay", id_)
        assert (absent.exit_code, bus.replay(id_)) == (1, False)


@pytest.fixture
def runtime(environ: dict[str, str]) -> Iterator[Runtime]:
    made = runtime_for(Settings.read(environ))
    yield made
    made.bus.close()


@pytest.fixture
def answered(runtime: Runtime, prefix: str) -> Iterator[list[int]]:
    """The real endpoint of preprocess, subscribed; gives the statuses of its answers. What it
    publishes itself is taken by nobody in particular."""
    statuses: list[int] = []
    preprocess = apps(runtime)["preprocess"]

    class Silent(WSGIRequestHandler):
        def log_message(self, *_: object) -> None:
            """Silent."""

    def application(environ, start_response):
        def started(status: str, *rest):
            statuses.append(int(status[:3]))
            return start_response(status, *rest)

        if environ["PATH_INFO"] == ROUTES["RawStored"]:
            return preprocess(environ, started)
        start_response("204 No Content", [])
        return []

    with make_server("127.0.0.1", 0, application, handler_class=Silent) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        subscribed(prefix, f"http://127.0.0.1:{server.server_port}")
        yield statuses
        server.shutdown()


def test_an_upload_is_recorded_and_repeats_change_nothing(
    runtime: Runtime, answered: list[int]
) -> None:
    stored = store(
        runtime, BytesIO(OBSERVATIONS), file_name="a.csv", source="tidy", now=datetime.now(UTC)
    )
    until(lambda: answered == [204])
    before = records(runtime)
    assert len(before) == 1
    runtime.bus.publish_all([RawStored(object=stored.object, source="tidy")] * 5, trace="again")
    until(lambda: answered == [204] * 6)
    assert records(runtime) == before


def records(runtime: Runtime) -> dict[str, bytes]:
    storage = runtime.storage
    listed = [one.name for one in storage.list(names.OBSERVATIONS)]
    return {name: storage.read(name).data for name in listed}


@SLOW
def test_what_is_no_push_of_ours_is_refused_and_not_lost(
    bus: PubsubBus, prefix: str, answered: list[int]
) -> None:
    publish_foreign(prefix)
    until(lambda: answered == [400] * 5)
    until(lambda: len(bus.dead_letters()) == 1)


def test_arranging_again_moves_the_pushes_to_the_new_address(bus: PubsubBus, prefix: str) -> None:
    old, new = Endpoint(204), Endpoint(204)
    with served(old) as before, served(new) as after:
        subscribed(prefix, before)
        subscribed(prefix, after)
        bus.publish(RawStored(object="raw/x"), trace="t")
        until(lambda: len(new.came) == 1)
        assert old.came == []


def test_without_an_emulator_nothing_is_arranged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ADDRESS, raising=False)
    with pytest.raises(Misconfigured, match="PUBSUB_EMULATOR_HOST must name the emulator"):
        arrange(PROJECT, prefix="t-", endpoint=str)


def test_each_event_has_its_topic_and_path() -> None:
    assert dict(topics.pushed("skyblend-")) == {
        "skyblend-raw-stored": ROUTES["RawStored"],
        "skyblend-records-ready": ROUTES["RecordsReady"],
        "skyblend-model-promoted": ROUTES["ModelPromoted"],
        "skyblend-collect-task": ROUTES["CollectTask"],
    }
    assert topics.dead_letters("skyblend-") == "skyblend-dead-letters"


def test_the_attributes_are_those_of_the_laptops_bus(bus: PubsubBus, prefix: str) -> None:
    endpoint, event = Endpoint(204), RawStored(object="raw/x")
    with served(endpoint) as url:
        subscribed(prefix, url)
        bus.publish(event, trace="t")
        until(lambda: len(endpoint.came) == 1)
    assert json.loads(endpoint.came[0])["message"]["attributes"] == attributes(event, "t")


@SLOW
def test_a_push_that_is_not_answered_in_time_comes_again(bus: PubsubBus, prefix: str) -> None:
    came, answer = [], threading.Event()

    def endpoint(path: str, body: bytes) -> int:
        came.append(body)
        if len(came) == 1:
            answer.wait(60)
        return 204

    with served(endpoint) as url:
        subscribed(prefix, url, patience=Patience(ack=10))
        bus.publish(RawStored(object="raw/x"), trace="t")
        until(lambda: len(came) == 2)
        answer.set()


@SLOW
def test_with_a_retry_policy_the_waits_grow_until_it_is_given_up(
    bus: PubsubBus, prefix: str
) -> None:
    """A single message: of several that fail together the emulator forgets some."""
    endpoint = Endpoint()
    with served(endpoint) as url:
        subscribed(prefix, url, patience=Patience(back_off=(1, 600)))
        bus.publish(RawStored(object="raw/x"), trace="t")
        until(lambda: len(bus.dead_letters()) == 1)
    assert len(endpoint.came) == 5
