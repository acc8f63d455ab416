"""Objects of the bucket as they stand now, decoded once and looked at again when the last look is
older than two seconds.

A request does the looking: where instances are frozen between requests no thread in the background
can.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from skyblend.runtime.storage import Absent, Storage

LOOK_EVERY: Final = 2.0  # seconds

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Seen(Generic[Value]):
    """An object as it was at a look (seconds of a monotonic clock); generation 0 and no value where
    it was absent."""

    generation: int
    value: Value | None
    looked: float


class Watch(Generic[Value]):
    """Decoded objects of one kind. Safe among threads: what two of them read at once, the later
    keeps."""

    def __init__(
        self,
        storage: Storage,
        decode: Callable[[bytes], Value],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage, self._decode, self._clock = storage, decode, clock
        self._seen: dict[str, Seen[Value]] = {}

    def get(self, name: str) -> Seen[Value]:
        """The object as it was at most two seconds ago."""
        now = self._clock()
        seen = self._seen.get(name)
        if seen is None or now - seen.looked >= LOOK_EVERY:
            seen = self._seen[name] = self._look(name, seen, now)
        return seen

    def forget(self) -> None:
        """Look at every object again at the next request."""
        self._seen.clear()

    def _look(self, name: str, before: Seen[Value] | None, now: float) -> Seen[Value]:
        generation = self._storage.generation(name)
        if before is not None and generation == before.generation:
            return Seen(generation, before.value, now)
        try:
            stored = self._storage.read(name)
        except Absent:
            return Seen(0, None, now)
        return Seen(stored.generation, self._decode(stored.data), now)
