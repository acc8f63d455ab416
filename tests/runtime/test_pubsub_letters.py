"""Dead letters as Pub/Sub hands them over: what they were, why, put together and in order."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import pytest
from google.cloud.pubsub_v1.types import PubsubMessage, ReceivedMessage
from google.protobuf.message import Message
from skyblend.cli.apps import apps
from skyblend.ingest.uploads import store
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime.bus import ROUTES, BusError
from skyblend.runtime.bus.given_up import letters
from skyblend.runtime.bus.pubsub import PubsubBus
from skyblend.runtime.bus.push import BadPush, Push, attributes, content, decode, encode
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tokens import bearer
from werkzeug.test import Client

NOW = datetime(2026, 11, 21, 11, 16, tzinfo=UTC)

# A push of the emulator (0.8.20) as it came, and the same message as Pub/Sub's guide shows pushes.
PUSHES = [
    rb'{"subscription":"projects\/p\/subscriptions\/skyblend-raw-stored","message":{"publishTime":'
    rb'"2026-11-21T11:20:51.060Z","data":"eyJvYmplY3QiOiAicmF3LzAifQ==","publish_time":'
    rb'"2026-11-21T11:20:51.060Z","messageId":"13","attributes":{"schema":"skyblend.protos.v1",'
    rb'"trace":"t","type":"RawStored"},"message_id":"13"}}',
    b'{"deliveryAttempt": 5, "message": {"attributes": {"schema": "skyblend.protos.v1", "trace": '
    b'"t", "type": "RawStored"}, "data": "eyJvYmplY3QiOiAicmF3LzAifQ==", "messageId": '
    b'"2070443601311540", "message_id": "2070443601311540", "orderingKey": "", "publishTime": '
    b'"2026-11-21T11:20:51.06Z", "publish_time": "2026-11-21T11:20:51.06Z"}, "subscription": '
    b'"projects/p/subscriptions/skyblend-raw-stored"}',
]
EMPTY = (
    rb'{"subscription":"projects\/p\/subscriptions\/skyblend-raw-stored","message":{"publishTime":'
    rb'"2026-11-21T11:15:45.054Z","data":"","publish_time":"2026-11-21T11:15:45.054Z","messageId":'
    rb'"2","attributes":{"schema":"skyblend.protos.v1","type":"RawStored"},"message_id":"2"}}'
)


def received(
    id_: str, *, published: int = 0, source: str = "skyblend-raw-stored", **named: str
) -> ReceivedMessage:
    """A dead letter of the event raw/0, or of what `named` says in place of its attributes."""
    event = RawStored(object="raw/0")
    added = {
        "CloudPubSubDeadLetterSourceDeliveryCount": "5",
        "CloudPubSubDeadLetterSourceSubscription": source,
        "CloudPubSubDeadLetterSourceSubscriptionProject": "p",
        "CloudPubSubDeadLetterSourceTopicPublishTime": f"2026-11-21T11:15:45.{published:03d}Z",
    }
    message = PubsubMessage(
        data=content(event),
        attributes={**(named or attributes(event, "t")), **added},
        message_id=id_,
        publish_time=datetime(2026, 11, 21, 11, 16, int(id_), tzinfo=UTC),
    )
    return ReceivedMessage(ack_id=f"lease {id_}", message=message)


@pytest.mark.parametrize("body", PUSHES)
def test_a_real_push_is_read(body: bytes) -> None:
    assert decode(body) == Push("RawStored", RawStored(object="raw/0"), "t")


@pytest.mark.parametrize("body", [EMPTY, EMPTY.replace(b'"data":"",', b"")])
def test_a_push_without_data_is_refused(body: bytes) -> None:
    with pytest.raises(BadPush, match=r"message\.data"):
        decode(body)


def test_a_letter_tells_what_it_was_and_why() -> None:
    (one,) = letters([received("7")], prefix="skyblend-")
    assert (one.letter.id, one.letter.type, one.topic) == ("7", "RawStored", "skyblend-raw-stored")
    assert decode(one.letter.envelope) == Push("RawStored", RawStored(object="raw/0"), "t")
    assert one.letter.reason.startswith("5 pushes of skyblend-raw-stored were not acknowledged")


def test_what_pub_sub_added_is_not_published_again() -> None:
    (one,) = letters([received("7")], prefix="skyblend-")
    assert one.attributes == attributes(RawStored(object="raw/0"), "t")


def test_the_oldest_event_comes_first() -> None:
    given = [received("1", published=20), received("2", published=10)]
    assert [one.letter.id for one in letters(given, prefix="skyblend-")] == ["2", "1"]


def test_copies_of_one_letter_are_one_letter() -> None:
    (one,) = letters([received("9"), received("8")], prefix="skyblend-")
    assert one.letter.id == "8"
    assert one.ids == {"8", "9"}
    assert set(one.leases) == {"lease 8", "lease 9"}


def test_a_message_that_is_no_event_goes_back_to_the_topic_it_came_from() -> None:
    given = received("3", source="skyblend-upload-finalized", eventType="OBJECT_FINALIZE")
    (one,) = letters([given], prefix="skyblend-")
    assert (one.letter.type, one.topic) == ("upload-finalized", "skyblend-upload-finalized")
    assert json.loads(one.letter.envelope)["message"]["attributes"] == {
        "eventType": "OBJECT_FINALIZE"
    }


def test_nobody_there_to_publish_to_is_an_error_in_time_that_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    bus = PubsubBus("p", prefix="skyblend-", publish_seconds=0.3)
    with pytest.raises(BusError, match=r"an event cannot be published: .*127\.0\.0\.1:1"):
        bus.publish(RawStored(object="a"), trace="t")
    with pytest.raises(BusError, match=r"the dead letters cannot be read: .*127\.0\.0\.1:1"):
        bus.dead_letters()
    bus.close()


def test_a_message_that_is_too_large_is_an_error_of_the_bus(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", "127.0.0.1:1")
    bus = PubsubBus("p", prefix="skyblend-")
    with pytest.raises(BusError, match="MessageTooLargeError"):
        bus.publish(RawStored(object="a" * 11_000_000), trace="t")
    bus.close()


class AbsentBus:
    """A bus that takes nothing."""

    def publish(self, event: Message, *, trace: str) -> str:
        raise BusError("an event cannot be published: RetryError: nobody there")


def test_an_upload_that_cannot_be_announced_is_not_acknowledged(tmp_path: Path) -> None:
    runtime = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)}))
    client = Client(apps(replace(runtime, bus=AbsentBus()))["ingest"])  # type: ignore[arg-type]
    headers = {"Authorization": bearer(runtime.token), "Content-Type": "application/octet-stream"}
    answer = client.post("/v1/uploads?name=a.csv&source=tidy", data=b"x", headers=headers)
    assert answer.status_code == 503
    assert "BusError" in answer.text


def test_a_push_whose_news_cannot_be_published_is_tried_again(tmp_path: Path) -> None:
    runtime = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)}))
    rows = (
        b"place_id,latitude,longitude,elevation,observed_at,temperature_2m\n"
        b"Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,1.5\n"
    )
    stored = store(runtime, BytesIO(rows), file_name="a.csv", source="tidy", now=NOW)
    event = RawStored(object=stored.object, source="tidy")
    body = encode(event, trace="t", message_id="1", published_at=NOW)
    headers = {"Authorization": bearer(runtime.token), "Content-Type": "application/json"}
    path = ROUTES["RawStored"]
    statuses = [
        Client(apps(one)["preprocess"]).post(path, data=body, headers=headers).status_code
        for one in (replace(runtime, bus=AbsentBus()), runtime)  # type: ignore[arg-type]
    ]
    assert statuses == [503, 204]
    assert runtime.bus.pending() == 2  # type: ignore[attr-defined]
    runtime.bus.close()
