"""The push envelope: what is sent is read back, and what is malformed is refused with its place."""

import base64
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.protos.v1.events_pb2 import ModelPromoted, RawStored
from skyblend.runtime.bus.push import BadPush, decode, encode

AT = datetime(2026, 11, 20, 10, 0, 0, 123456, UTC)


def envelope(**changed: object) -> bytes:
    message = {
        "data": base64.b64encode(b'{"object": "a"}').decode(),
        "attributes": {"type": "RawStored", "schema": "skyblend.protos.v1", "trace": "t"},
        "messageId": "1",
        "publishTime": "2026-11-20T10:00:00Z",
    }
    return json.dumps({"message": message | changed, "subscription": "s"}).encode()


def attributes(**changed: object) -> dict[str, object]:
    return {"type": "RawStored", "schema": "skyblend.protos.v1", "trace": "t"} | changed


def data(text: bytes) -> str:
    return base64.b64encode(text).decode()


def test_the_envelope_has_pub_subs_form() -> None:
    sent = json.loads(encode(RawStored(object="a"), trace="t", message_id="7", published_at=AT))
    assert sent["message"]["attributes"] == attributes()
    assert sent["message"]["messageId"] == "7"
    assert sent["message"]["publishTime"] == "2026-11-20T10:00:00.123Z"
    assert json.loads(base64.b64decode(sent["message"]["data"])) == {"object": "a"}
    assert isinstance(sent["subscription"], str)


@settings(max_examples=50, deadline=None)
@given(
    model_id=st.text(st.characters(exclude_categories=["Cs"])),
    variables=st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
    trace=st.text("0123456789abcdef", max_size=32),
)
def test_any_event_is_read_back(model_id: str, variables: list[str], trace: str) -> None:
    event = ModelPromoted(model_id=model_id, variables=variables)
    body = encode(event, trace=trace, message_id="1", published_at=AT)
    assert decode(body) == ("ModelPromoted", event, trace)


def test_fields_of_a_newer_sender_are_ignored() -> None:
    body = envelope(data=data(b'{"object": "a", "new_field": {"deep": [1]}}'), orderingKey="k")
    assert decode(body).event == RawStored(object="a")


def test_a_push_without_a_trace_has_an_empty_one() -> None:
    attrs = {"type": "RawStored", "schema": "skyblend.protos.v1"}
    assert decode(envelope(attributes=attrs)).trace == ""


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "body"),
        (b"\xff\xfe", "body"),
        (b"[]", "body"),
        (b"[" * 100_000, "body"),
        (b"{}", "body.message"),
        (b'{"message": 3}', "body.message"),
        (envelope(attributes=None), "message.attributes"),
        (envelope(attributes={}), "message.attributes.type"),
        (envelope(attributes=attributes(type="RawBurnt")), "message.attributes.type"),
        (envelope(attributes=attributes(type=["RawStored"])), "message.attributes.type"),
        (envelope(attributes=attributes(schema="v0")), "message.attributes.schema"),
        (envelope(data=None), "message.data"),
        (envelope(data="###"), "message.data"),
        (envelope(data="é"), "message.data"),
        (envelope(data=data(b"not json")), "message.data"),
        (envelope(data=data(b"\xff")), "message.data"),
        (envelope(data=data(b"[1]")), "message.data"),
        (envelope(data=data(b'{"object": 3}')), "message.data"),
        (envelope(data=data(b'{"received_at": "yesterday"}')), "message.data"),
    ],
)
def test_a_malformed_push_is_refused_with_its_place(body: bytes, where: str) -> None:
    with pytest.raises(BadPush) as refused:
        decode(body)
    assert refused.value.where == where
    assert refused.value.expected
    assert refused.value.got


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_arbitrary_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(BadPush):
        decode(body)
