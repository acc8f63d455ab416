"""Files that come into the bucket: Cloud Storage tells of them through Pub/Sub (Google's emulator),
which pushes to ingest as its image runs it, on a bucket of our own making."""

import hashlib
import json
import os
import re
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field

import pytest
from emulators import PROJECT, emulator_address, new_prefix, served, subscribed
from gcs_server import Gcs, serving
from processes import until
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.bus import topics
from skyblend.runtime.bus.emulator import ADDRESS
from skyblend.runtime.bus.pubsub import PubsubBus
from skyblend.runtime.bus.push import decode
from stopping import Running, running

# ruff: noqa: PLC0415 - gRPC is imported where there is an emulator
PATH = "/v1/events/upload-finalized"


def notification(name: str, generation: int, **changes: str) -> tuple[bytes, dict[str, str]]:
    """Data and attributes as Cloud Storage sends them (recorded, shortened), with changes."""
    resource = {
        "kind": "storage#object",
        "id": f"weather/{name}/{generation}",
        "name": name,
        "bucket": "weather",
        "generation": str(generation),
        "metageneration": "1",
        "contentType": "text/csv",
        "storageClass": "STANDARD",
    }
    attributes = {
        "notificationConfig": "projects/_/buckets/weather/notificationConfigs/3",
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": "weather",
        "objectId": name,
        "objectGeneration": str(generation),
        "eventTime": "2026-11-20T12:00:00.123456Z",
    }
    return json.dumps(resource).encode(), attributes | changes


@dataclass(frozen=True, slots=True)
class Place:
    """A bucket, the emulator's topics and a running ingest; `came` are the pushes to others."""

    gcs: Gcs
    prefix: str
    ingest: Running
    came: list[bytes] = field(default_factory=list)

    def arrive(self, name: str, content: bytes) -> int:
        """A file stands in the bucket; gives its generation. Nobody is told yet."""
        return self.gcs.bucket.put({"name": name}, content, {}).generation

    def tell(self, name: str, generation: int, **changes: str) -> None:
        from google.cloud.pubsub_v1 import PublisherClient

        data, attributes = notification(name, generation, **changes)
        with PublisherClient() as client:
            topic = client.topic_path(PROJECT, f"{self.prefix}upload-finalized")
            client.publish(topic, data, **attributes).result(timeout=10)

    def answers(self) -> dict[int, int]:
        """How often ingest has answered a notification with each status, by its own count."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.ingest.port}/metrics") as answer:
            lines = re.findall(
                rf'_total{{.*path="{PATH}".*status="(\d+)".*}} (\d+)',
                answer.read().decode(),
                re.MULTILINE,
            )
        return {int(status): int(count) for status, count in lines}

    def answered(self, before: dict[int, int]) -> dict[int, int]:
        """The same, since then."""
        found = {s: n - before.get(s, 0) for s, n in self.answers().items()}
        return {status: count for status, count in found.items() if count}

    def listed(self, prefix: str) -> list[str]:
        return sorted(name for name in self.gcs.bucket.objects if name.startswith(prefix))

    def announced(self) -> list[str]:
        events = (decode(body).event for body in self.came)
        return [event.object for event in events if isinstance(event, RawStored)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    environ = {ADDRESS: emulator_address()}
    came: list[bytes] = []

    def take(_: str, body: bytes) -> int:
        came.append(body)
        return 204

    prefix = new_prefix()
    with serving() as gcs, served(take) as others:
        environ |= {
            "SKYBLEND_STORAGE": "gcs",
            "SKYBLEND_BUS": "pubsub",
            "SKYBLEND_TABLES": "bigquery",
            "SKYBLEND_AUTH": "none",
            "SKYBLEND_PROJECT": PROJECT,
            "SKYBLEND_BUCKET": gcs.bucket.name,
            "SKYBLEND_TOPIC_PREFIX": prefix,
            "STORAGE_EMULATOR_HOST": gcs.url,
        }
        subscribed(prefix, others)
        data = tmp_path_factory.mktemp("arrivals") / "data"
        with running("ingest", data, **environ) as ingest:
            _subscribe(prefix, f"http://127.0.0.1:{ingest.port}{PATH}")
            yield Place(gcs, prefix, ingest, came)


def _subscribe(prefix: str, url: str) -> None:
    """What Terraform makes of the notification's topic: five pushes, then a dead letter."""
    from google.cloud.pubsub_v1 import PublisherClient, SubscriberClient

    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        topic = publisher.topic_path(PROJECT, f"{prefix}upload-finalized")
        given_up = publisher.topic_path(PROJECT, topics.dead_letters(prefix))
        publisher.create_topic(name=topic)
        subscriber.create_subscription(
            request={
                "name": subscriber.subscription_path(PROJECT, f"{prefix}upload-finalized"),
                "topic": topic,
                "ack_deadline_seconds": 600,
                "push_config": {"push_endpoint": url},
                "dead_letter_policy": {
                    "dead_letter_topic": given_up,
                    "max_delivery_attempts": 5,
                },
            }
        )


@pytest.fixture
def arrive(place: Place, request: pytest.FixtureRequest) -> Callable[[], tuple[str, str, int]]:
    """Has a file of this test's own arrive: its name, the raw object that it is to become, its
    generation."""

    def made() -> tuple[str, str, int]:
        content = f"source,place_id\n{request.node.name},Ulm\n".encode()
        name = f"uploads/{hashlib.sha256(content).hexdigest()[:8]}.source-tidy/a b+ü.csv"
        return name, names.upload(hashlib.sha256(content).hexdigest()), place.arrive(name, content)

    return made


Arrive = Callable[[], tuple[str, str, int]]


def test_a_file_in_the_bucket_becomes_an_upload(place: Place, arrive: Arrive) -> None:
    name, raw, generation = arrive()
    before = place.answers()
    place.tell(name, generation)
    until(lambda: place.answered(before) == {204: 1} and raw in place.announced())
    assert name not in place.gcs.bucket.objects
    assert place.listed(raw) == [raw]
    meta = json.loads(place.gcs.bucket.objects[names.upload_meta(raw)].data)
    assert (meta["fileName"], meta["source"]) == ("a b+ü.csv", "tidy")


def test_what_is_repeated_late_or_not_for_us_is_acknowledged(place: Place, arrive: Arrive) -> None:
    name, raw, old = arrive()
    new = place.arrive(name, b"new")
    before, kept = place.answers(), dict(place.gcs.bucket.objects)
    place.tell(name, old)
    place.tell(name, 1)
    place.tell(name, new, bucketId="another")
    place.tell(name, new, eventType="OBJECT_ARCHIVE")
    place.tell("places.json", 1)
    place.tell("uploads/folder/", 1)
    until(lambda: sum(place.answered(before).values()) == 6)
    assert place.answered(before) == {204: 6}
    assert place.gcs.bucket.objects == kept
    assert raw not in place.announced()


@pytest.mark.parametrize(
    "name", ["uploads/../places.json", "uploads/a\nb.csv", "uploads//a", "uploads/" + "é" * 500]
)
def test_an_odd_name_is_quarantined_and_acknowledged(place: Place, name: str) -> None:
    before, others = place.answers(), place.listed("raw/")
    place.tell(name, place.arrive(name, b"x"))
    until(lambda: place.answered(before) == {204: 1})
    [entries] = [
        found["entries"]
        for one in place.listed(names.QUARANTINE)
        if (found := json.loads(place.gcs.bucket.objects[one].data))["raw"] == name
    ]
    assert entries[0]["where"] == "name"
    assert place.listed("raw/") == others
    assert name in place.gcs.bucket.objects


def test_trouble_with_the_bucket_is_repeated_and_nothing_is_lost(
    place: Place, arrive: Arrive
) -> None:
    name, raw, generation = arrive()
    before = place.answers()
    place.gcs.trouble("GET media", "refuse", status=403)
    place.tell(name, generation)
    until(lambda: place.answered(before) == {503: 1, 204: 1})
    until(lambda: raw in place.announced())


@pytest.mark.skipif(os.environ.get("SKYBLEND_PROVE") != "1", reason="five pushes: make prove")
def test_what_is_no_notification_is_given_up_and_kept(place: Place) -> None:
    before = place.answers()
    place.tell("uploads/1/a.csv", 1, objectGeneration="1" * 5000)
    until(lambda: place.answered(before) == {400: 5})
    with closing(PubsubBus(PROJECT, prefix=place.prefix)) as bus:
        until(lambda: len(bus.dead_letters()) == 1)
