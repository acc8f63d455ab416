"""The ledger: immutable segments of all that was issued, each with the hash of the one before.

A segment is created only if absent, so that two writers cannot both add number n; the loser looks
at what the winner wrote. What is read back is checked against what this process saw last, and a
difference is a fork.

LedgerError
    Forked      a segment does not carry the hash of the one before it, or one is gone
    Damaged     a segment's bytes are not those that were written
"""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import DecodeError
from skyblend.protos.v1.api_pb2 import Issued, LedgerSegment
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage, create

_SEAL = 34  # bytes of the field sha256: tag, length, 32 of the hash


class LedgerError(Exception):
    """The ledger cannot be continued."""


class Forked(LedgerError):
    """A segment does not carry the hash of the one before it."""


class Damaged(LedgerError):
    """A segment's bytes are not those that were written."""


@dataclass(frozen=True, slots=True)
class Head:
    """The last segment: its number (0: no segment yet) and the sha256 of its bytes (empty for
    number 0)."""

    number: int = 0
    sha256: bytes = b""


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found: how many segments were read, and in words each one that is missing,
    changed or forked."""

    segments: int
    problems: tuple[str, ...]

    @property
    def is_sound(self) -> bool:
        return not self.problems


def find_head(storage: Storage, known: Head | None = None) -> tuple[Head, LedgerSegment | None]:
    """The last segment; from `known` on, or by doubling and halving where nothing is known: no
    listing.

    Raises Forked where the segment at `known` is no longer what it was.
    """
    known = known or Head()
    if known.number and hashlib.sha256(_read(storage, known.number)).digest() != known.sha256:
        raise Forked(f"{names.ledger(known.number)}: changed since this process read it")
    number = _last(storage, known.number)
    if number == 0:
        return Head(), None
    content = _read(storage, number)
    return Head(number, hashlib.sha256(content).digest()), _segment(content, number)


def append(
    storage: Storage,
    issued: Sequence[Issued],
    *,
    after: Head,
    at: datetime,
    still_new: Callable[[LedgerSegment, Sequence[Issued]], Sequence[Issued]],
) -> tuple[Head, Sequence[Issued]]:
    """Add one segment behind `after` and give the new head and what it holds.

    Where another writer was first, `still_new(theirs, ours)` gives what of ours is left to add;
    nothing left adds nothing.
    """
    head = after
    while issued:
        segment = LedgerSegment(number=head.number + 1, previous=head.sha256, issued=issued)
        segment.issued_at.FromDatetime(at)
        for one in segment.issued:
            del one.members[:]
        content = _sealed(segment)
        if create(storage, names.ledger(segment.number), content):
            return Head(segment.number, hashlib.sha256(content).digest()), issued
        head, theirs = _follow(storage, head)
        issued = still_new(theirs, issued)
    return head, issued


def verify(storage: Storage, *, last: int | None = None) -> Report:
    """Read the whole ledger, or its last segments, and tell each segment that is missing,
    unreadable, changed or forked."""
    problems: list[str] = []
    found = [listed.name for listed in storage.list(names.LEDGER)]
    some = found if last is None else found[-last:]
    is_whole = len(some) == len(found)
    previous, expected, count = b"", 1 if is_whole else _number(some[0]), 0
    for name in some:
        number, content = _number(name), storage.read(name).data
        problems += [f"{names.ledger(n)}: missing" for n in range(expected, number)]
        is_linked = number == expected and (is_whole or count > 0)
        if (problem := _problem(content, number, previous if is_linked else None)) != "":
            problems.append(problem)
        previous, expected, count = hashlib.sha256(content).digest(), number + 1, count + 1
    return Report(count, tuple(problems))


def _number(name: str) -> int:
    return int(name.removeprefix(names.LEDGER).removesuffix(".pb"))


def _problem(content: bytes, number: int, previous: bytes | None) -> str:
    """What is wrong with a segment; `previous` is None where the one before it is missing."""
    name = names.ledger(number)
    if content[-_SEAL:] != _seal(content[:-_SEAL]):
        return f"{name}: its bytes are not those that were written"
    try:
        segment = LedgerSegment.FromString(content)
    except DecodeError as error:
        return f"{name}: unreadable ({error})"
    if segment.number != number:
        return f"{name}: expected number {number}, got {segment.number}"
    if previous is not None and segment.previous != previous:
        return (
            f"{name}: expected previous {previous.hex()[:12] or 'none'}, "
            f"got {segment.previous.hex()[:12] or 'none'}: the segment before it changed, or a fork"
        )
    return ""


def _sealed(segment: LedgerSegment) -> bytes:
    """The segment's bytes with their seal."""
    content = segment.SerializeToString(deterministic=True)
    return content + _seal(content)


def _seal(content: bytes) -> bytes:
    """The field sha256 over all bytes before it."""
    return LedgerSegment(sha256=hashlib.sha256(content).digest()).SerializeToString()


def _follow(storage: Storage, head: Head) -> tuple[Head, LedgerSegment]:
    """The segment that another writer put behind `head`; Forked where it does not continue it."""
    content = _read(storage, head.number + 1)
    segment = _segment(content, head.number + 1)
    if segment.previous != head.sha256:
        raise Forked(
            f"{names.ledger(head.number + 1)}: expected previous {head.sha256.hex()[:12]}, "
            f"got {segment.previous.hex()[:12]}"
        )
    return Head(segment.number, hashlib.sha256(content).digest()), segment


def _segment(content: bytes, number: int) -> LedgerSegment:
    if problem := _problem(content, number, None):
        raise Damaged(problem)
    return LedgerSegment.FromString(content)


def _read(storage: Storage, number: int) -> bytes:
    try:
        return storage.read(names.ledger(number)).data
    except Absent as error:
        raise Forked(f"{names.ledger(number)}: missing, it was there before") from error


def _last(storage: Storage, known: int) -> int:
    """The number of the last segment, at or above `known` (which is there, or 0)."""
    step, low = 1, known
    while _exists(storage, low + step):
        low, step = low + step, step * 2
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _exists(storage, middle) else (low, middle)
    return low


def _exists(storage: Storage, number: int) -> bool:
    return storage.generation(names.ledger(number)) > 0
