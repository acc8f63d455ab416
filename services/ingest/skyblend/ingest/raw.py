"""Raw objects of collect tasks as ingest asks for them again: by name."""

from collections.abc import Iterator

from skyblend.protos.v1.records_pb2 import Place, RawAnswer
from skyblend.runtime import raw
from skyblend.runtime.storage import Storage


def answers(storage: Storage, name: str) -> Iterator[RawAnswer]:
    """The answers of a raw object, in the order of the calls."""
    with storage.open(name) as stream:
        yield from raw.answers(stream)


def places(storage: Storage, name: str) -> Iterator[Place]:
    """The places whose answers a raw object holds."""
    for answer in answers(storage, name):
        yield from answer.fetch.places
