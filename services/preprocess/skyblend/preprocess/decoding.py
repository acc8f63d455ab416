"""The decoded items of one member, given only when the whole member is good."""

import pickle
import tempfile
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, cast

from skyblend.preprocess.members import Member
from skyblend.sources.contract import BadPayload, Decoded, Forecasts, Observations, Payload, Source
from skyblend.sources.registry import SOURCES, recognise

HELD = 1 << 18  # rows of a member that are held until its end; a larger member's wait on the disk
_HEAD = 4096


def items(source: Source, payload: Payload) -> Iterator[Decoded]:
    """The items of a member by its source's decoder. Raises BadPayload before the first of them."""
    decoding = source.decode(payload)
    held: list[Decoded] = []
    rows = 0
    for item in decoding:
        held.append(item)
        rows += size(item)
        if rows > HELD:
            break
    else:
        yield from held
        return
    with tempfile.TemporaryFile() as aside:
        count = 0
        for item in chain(_emptied(held), decoding):
            pickle.dump(item, cast(BinaryIO, aside), pickle.HIGHEST_PROTOCOL)
            count += 1
        aside.seek(0)
        for _ in range(count):
            yield pickle.load(aside)  # noqa: S301 - what was written above, to a file without a name


def _emptied(held: list[Decoded]) -> Iterator[Decoded]:
    """The items in their order; none is held any longer than it is needed."""
    held.reverse()
    while held:
        yield held.pop()


def source_of(member: Member) -> Source:
    """The source that is named, or that recognises the member; raises BadPayload."""
    if member.source in SOURCES:
        return SOURCES[member.source]
    expected = f"one of {', '.join(sorted(SOURCES))}"
    if member.source:
        raise BadPayload("preprocess", where="source", expected=expected, got=member.source)
    body = member.payload.body
    head = body.read(_HEAD)
    body.seek(0)
    source = recognise(member.payload.name, head)
    if source is None:
        got = f"first bytes {head[:60]!r}"
        raise BadPayload("preprocess", where=member.name, expected=expected, got=got)
    return source


def size(item: Decoded) -> int:
    """How many rows an item holds; anything else counts as one."""
    if isinstance(item, Forecasts):
        return len(item.valid_at)
    return len(item.observed_at) if isinstance(item, Observations) else 1
