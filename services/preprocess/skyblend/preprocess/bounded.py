"""Reading within bounds: how much may come out of one raw object, and out of one member of it."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import BinaryIO, cast

from skyblend.sources.contract import Refusal

SPOOL = 8 << 20  # bytes of a member that are held in memory; the rest is held in a temporary file
_CHUNK = 1 << 16
_FREE = 16 << 20  # bytes that may come out of a stream before its ratio counts


class Refused(Exception):
    """A member, or the rest of an archive, that is not read; `refusal` says why."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"at {refusal.where} expected {refusal.expected}, got {refusal.got}")
        self.refusal = refusal


class Exhausted(Refused):
    """The bound of the whole raw object is reached: nothing more of it is read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds in bytes; `ratio` is of what comes out to what goes in."""

    member: int
    unpacked: int
    members: int = 100_000
    ratio: int = 300


@dataclass(slots=True)
class Budget:
    """What one raw object may still give."""

    limits: Limits
    unpacked: int = field(default=0, init=False)
    members: int = field(default=0, init=False)

    def spend(self, size: int, *, where: str) -> None:
        """Count `size` bytes that came out; raises Exhausted."""
        self.unpacked += size
        if self.unpacked > self.limits.unpacked:
            raise _too_much(where, f"at most {self.limits.unpacked} bytes unpacked", "more")

    def count(self, where: str) -> None:
        """Count one more member; raises Exhausted."""
        self.members += 1
        if self.members > self.limits.members:
            raise _too_much(where, f"at most {self.limits.members} members", "more")


def _too_much(where: str, expected: str, got: str) -> Exhausted:
    return Exhausted(Refusal(where, expected, got))


class Metered:
    """What `draw` gives (at most so many bytes, none at the end), counted against the budget.
    `packed` is the stream that feeds it, or its size, where more may come out than went in."""

    def __init__(
        self,
        draw: Callable[[int], bytes],
        budget: Budget,
        *,
        where: str,
        packed: BinaryIO | int | None = None,
    ) -> None:
        self._draw, self._budget, self._where, self._packed = draw, budget, where, packed
        self._given = 0
        self._ahead = b""

    def peek(self, size: int) -> bytes:
        """The next bytes, which stay."""
        while len(self._ahead) < size and (chunk := self._next(size)):
            self._ahead += chunk
        return self._ahead[:size]

    def read(self, size: int) -> bytes:
        """Some of the next bytes, at most `size`; raises Refused or Exhausted at a bound."""
        if self._ahead:
            chunk, self._ahead = self._ahead[:size], self._ahead[size:]
            return chunk
        return self._next(size)

    def _next(self, size: int) -> bytes:
        chunk = self._draw(size)
        self._given += len(chunk)
        self._budget.spend(len(chunk), where=self._where)
        self._check_ratio()
        return chunk

    def _check_ratio(self) -> None:
        if self._packed is None or self._given < _FREE:
            return
        packed = self._packed if isinstance(self._packed, int) else self._packed.tell()
        if self._given > self._budget.limits.ratio * packed:
            expected = f"what unpacks to at most {self._budget.limits.ratio} times its size"
            got = f"more: {self._given} bytes out of {packed} so far"
            raise Refused(Refusal(self._where, expected, got))


@contextmanager
def spooled(draw: Callable[[int], bytes], budget: Budget, *, where: str) -> Iterator[BinaryIO]:
    """The whole of what `draw` gives, held aside and at its start, so that a cut shows before
    anything is decoded; raises Refused for one larger than a member may be."""
    with tempfile.SpooledTemporaryFile(max_size=SPOOL) as held:
        size = 0
        while chunk := draw(_CHUNK):
            size += len(chunk)
            if size > budget.limits.member:
                raise Refused(Refusal(where, f"at most {budget.limits.member} bytes", "more"))
            held.write(chunk)
        held.seek(0)
        yield cast(BinaryIO, held)
