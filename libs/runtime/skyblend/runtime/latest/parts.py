"""A part of `latest/` as bytes: a LatestPart of which a place can be taken or replaced without
decoding the others."""

import io
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import BinaryIO

from google.protobuf.message import DecodeError
from skyblend.protos.v1.records_pb2 import Latest, LatestPart, Run
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage

Content = bytes | memoryview  # a Latest as it lies on the wire

_PLACE_ID = LatestPart.DESCRIPTOR.fields_by_name["place_id"].number
_LATEST = LatestPart.DESCRIPTOR.fields_by_name["latest"].number
_RUNS = Latest.DESCRIPTOR.fields_by_name["runs"].number
_HAS_LENGTH = 2  # protobuf's wire type of texts, bytes, messages and packed numbers


def latest(place: str, runs: Iterable[Run]) -> bytes:
    """The Latest of a place."""
    content = [Latest(place_id=place).SerializeToString()]
    for one in runs:
        run = one.SerializeToString(deterministic=True)
        content += [tag(_RUNS, len(run)), run]
    return b"".join(content)


def encode(contents: Mapping[str, Content]) -> bytes:
    """A part of the Latest of each place, in order of place ids."""
    return made(contents.keys(), contents.__getitem__)


def made(places: Collection[str], content: Callable[[str], Content]) -> bytes:
    """A part of places whose Latest are made one after the other, so that they are in memory
    once."""
    whole = io.BytesIO()
    for place in sorted(places):
        text = place.encode()
        whole.write(tag(_PLACE_ID, len(text)) + text)
    for place in sorted(places):
        latest = content(place)
        whole.write(tag(_LATEST, len(latest)))
        whole.write(latest)
    return whole.getvalue()


def contents(name: str, part: bytes) -> dict[str, Content]:
    """The Latest of each place in a part; an object of an older version is the Latest of one.
    Raises DecodeError."""
    if (place := names.latest_place(name)) is not None:
        return {place: part}
    whole, stream = memoryview(part), io.BytesIO(part)
    places: list[str] = []
    found: list[Content] = []
    for number, size in _fields(stream):
        start = stream.tell()
        if number == _PLACE_ID:
            places.append(str(whole[start : start + size], "utf-8"))
        elif number == _LATEST:
            found.append(whole[start : start + size])
        stream.seek(start + size)
    if len(places) != len(found) or stream.tell() != len(part):
        raise DecodeError(f"{name}: a part of {len(places)} places with {len(found)} of them whole")
    return dict(zip(places, found, strict=True))


def places(name: str, stream: BinaryIO) -> list[str]:
    """The places of a part, of which only the beginning is read."""
    if (place := names.latest_place(name)) is not None:
        return [place]
    found = []
    for number, size in _fields(stream):
        if number != _PLACE_ID:
            break
        found.append(stream.read(size).decode())
    return found


def everything(storage: Storage) -> Iterator[Latest]:
    """What each part holds of each place, superseded runs included."""
    for listed in storage.list(names.LATEST):
        try:
            part = storage.read(listed.name).data
        except Absent:  # nobody needs it any more
            continue
        for content in contents(listed.name, part).values():
            yield Latest.FromString(bytes(content))


@lru_cache(1024)
def tag(number: int, size: int) -> bytes:
    """What stands before a field of so many bytes."""
    return bytes([number << 3 | _HAS_LENGTH]) + _varint(size)


def _varint(number: int) -> bytes:
    groups = bytearray()
    while number > 127:
        groups.append(number & 127 | 128)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def _fields(stream: BinaryIO) -> Iterator[tuple[int, int]]:
    """Number and size of each field, at whose first byte the stream then stands; whoever takes it
    leaves the stream behind it."""
    while (head := _number(stream)) is not None:
        size = _number(stream)
        if head & 7 != _HAS_LENGTH or size is None:
            raise DecodeError(f"expected a field with a length before byte {stream.tell()}")
        yield head >> 3, size


def _number(stream: BinaryIO) -> int | None:
    """The varint at which the stream stands, None at its end."""
    number = shift = 0
    while byte := stream.read(1):
        number |= (byte[0] & 127) << shift
        if byte[0] < 128:
            return number
        shift += 7
    return None
