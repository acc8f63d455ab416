"""Raw objects of collect tasks: answers one after the other, each behind its length."""

import io
from collections.abc import Iterable, Iterator
from typing import cast

from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed
from skyblend.protos.v1.records_pb2 import Place, RawAnswer
from skyblend.runtime.storage import Storage


def encode(answers: Iterable[RawAnswer]) -> bytes:
    """The bytes of a raw object."""
    stream = io.BytesIO()
    for answer in answers:
        serialize_length_prefixed(answer, stream)
    return stream.getvalue()


def answers(storage: Storage, name: str) -> Iterator[RawAnswer]:
    """The answers of a raw object, in the order of the calls."""
    with storage.open(name) as stream:
        buffered = cast(io.BytesIO, stream)  # any buffered stream will do
        while (answer := parse_length_prefixed(RawAnswer, buffered)) is not None:
            yield answer


def places(storage: Storage, name: str) -> Iterator[Place]:
    """The places whose answers a raw object holds."""
    for answer in answers(storage, name):
        yield from answer.fetch.places
