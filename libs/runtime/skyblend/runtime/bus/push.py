"""The body of a push, as Pub/Sub sends it: the laptop's bus writes it, every push endpoint reads
it.

What Pub/Sub adds (`message_id`, `publish_time`, `deliveryAttempt`, `orderingKey`) is ignored: all
that an endpoint needs is in data and attributes. A body of another shape, or without data, is a
BadPush and answered with 400. That is no acknowledgement, on purpose: Pub/Sub tries it five times
and keeps it as a dead letter, where a person sees it; nothing is lost, and nothing is repeated for
ever.
"""

import base64
import binascii
import json
from datetime import UTC, datetime
from typing import Any, NamedTuple

from google.protobuf.json_format import MessageToDict, ParseDict, ParseError
from google.protobuf.message import Message
from skyblend.protos.v1 import events_pb2
from skyblend.runtime.bus import ROUTES

SCHEMA = "skyblend.protos.v1"
SUBSCRIPTION = "projects/local/subscriptions/skyblend"
EVENTS = {name: getattr(events_pb2, name) for name in ROUTES}


class BadPush(Exception):
    """A body that is no push of ours: answered with 400."""

    def __init__(self, where: str, expected: str, got: str) -> None:
        super().__init__(f"at {where} expected {expected}, got {got}")
        self.where, self.expected, self.got = where, expected, got


class Push(NamedTuple):
    """What a push carries."""

    type: str
    event: Message
    trace: str


def event_type(event: Message) -> str:
    """The type attribute of an event; raises TypeError for a message that is no event."""
    if (name := event.DESCRIPTOR.name) not in ROUTES:
        raise TypeError(f"expected one of {', '.join(ROUTES)}, got {name}")
    return name


def content(event: Message) -> bytes:
    """What a message carries as its data: the event as JSON."""
    return json.dumps(MessageToDict(event, preserving_proto_field_name=True)).encode()


def attributes(event: Message, trace: str) -> dict[str, str]:
    """What a message carries as its attributes."""
    return {"type": event_type(event), "schema": SCHEMA, "trace": trace}


def encode(event: Message, *, trace: str, message_id: str, published_at: datetime) -> bytes:
    """The body that delivers an event."""
    time = published_at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    message = {
        "data": base64.b64encode(content(event)).decode(),
        "attributes": attributes(event, trace),
        "messageId": message_id,
        "publishTime": time,
    }
    return json.dumps({"message": message, "subscription": SUBSCRIPTION}).encode()


def decode(body: bytes) -> Push:
    """Type, event and trace of a body; raises BadPush. Fields that a newer sender added are
    ignored."""
    message = _field(_json(body, "body"), "message", dict, "body")
    named = _field(message, "attributes", dict, "message")
    kind = _field(named, "type", str, "message.attributes")
    if kind not in EVENTS:
        raise BadPush("message.attributes.type", f"one of {', '.join(EVENTS)}", repr(kind[:40]))
    schema = _field(named, "schema", str, "message.attributes")
    if schema != SCHEMA:
        raise BadPush("message.attributes.schema", SCHEMA, repr(schema[:40]))
    event = _event(kind, _field(message, "data", str, "message"))
    trace = named.get("trace", "")
    return Push(kind, event, trace[:64] if isinstance(trace, str) else "")


def _event(kind: str, encoded: str) -> Message:
    try:
        decoded = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadPush("message.data", "base64", str(error)) from None
    event: Message = EVENTS[kind]()
    try:
        return ParseDict(_json(decoded, "message.data"), event, ignore_unknown_fields=True)
    except ParseError as error:
        raise BadPush("message.data", f"a {kind}", str(error)[:200]) from None


def _json(given: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(given)
    except (ValueError, RecursionError) as error:
        raise BadPush(where, "JSON", str(error)[:200] or "nothing") from None
    if not isinstance(found, dict):
        raise BadPush(where, "a JSON object", type(found).__name__)
    return found


def _field(given: dict[str, Any], name: str, kind: type, where: str) -> Any:
    found = given.get(name)
    if not isinstance(found, kind):
        got = "nothing" if found is None else type(found).__name__
        raise BadPush(f"{where}.{name}", f"a {kind.__name__}", got)
    return found
