"""The newest runs of places over all parts of `latest/`.

What stands in which part is known from the beginnings of the parts, read again where a generation
changed. Places are gone through some at a time, as many as their runs have room in memory; since
parts hold neighbours, a part is read once for them, and once more where it holds the next ones too.
"""

import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from skyblend.protos.v1.records_pb2 import Latest
from skyblend.runtime import names
from skyblend.runtime.latest import parts
from skyblend.runtime.latest.parts import Content
from skyblend.runtime.latest.runs import age, end, forecaster, merged
from skyblend.runtime.storage import Absent, Changed, Listed, Storage

HELD = 32 << 20  # bytes of parts that are kept until they change
TOGETHER = 32 << 20  # bytes of runs, of places that are gone through together
# After its last valid time a run is kept for so long, to tell since when there is no newer one.
# As far back the runs are made again from records.
PAST = timedelta(days=17)


@dataclass(slots=True)
class _Part:
    """What is known of a part at a generation. `needed` tells for the places that were looked at
    the last time that a run speaks of which is the newest there, 0 where there is none; in s since
    1970."""

    generation: int
    places: frozenset[str]
    size: int
    data: bytes | None = None
    needed: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        """Bytes of a place, on the average."""
        return self.size / max(1, len(self.places))


_Found = dict[str, list[tuple[str, bytes]]]  # place -> part and what it says of the place


class LatestReader:
    """Reads for one thread; keeps what it knows between readings, and at most `held` bytes of
    parts."""

    def __init__(self, storage: Storage, *, held: int = HELD, together: int = TOGETHER) -> None:
        self._storage, self._most_held, self._together = storage, held, together
        self._parts: dict[str, _Part] = {}
        self._held = 0  # bytes

    def read(self, places: Collection[str]) -> Iterator[tuple[str, Latest | None]]:
        """The newest runs of each of the places, in their order; None where no part has it."""
        self._look()
        for some in self._in_groups(places):
            found = self._found(some)
            for place in some:
                yield place, self._merged(place, found.pop(place, []))

    def remove_stale(self, *, now: datetime) -> list[str]:
        """Remove the parts that nobody needs, and give their names: each of their runs is older
        than another part's of its forecaster, or past since PAST. One that somebody writes
        meanwhile stays."""
        limit = int((now - PAST).timestamp())
        stale = [part for part in self._parts.values() if _is_over(part, limit)]
        unseen = {place for part in stale for place in part.places - part.needed.keys()}
        for _ in self.read(sorted(unseen)) if unseen else ():
            pass
        removed = [name for name, part in self._parts.items() if _is_stale(part, limit)]
        for name in removed:
            self._remove(name)
        return removed

    def _remove(self, name: str) -> None:
        generation = self._parts[name].generation
        self._forget(name)
        try:
            self._storage.delete(name, if_generation=generation)
        except Changed:  # written again, or removed by somebody else
            return

    def _look(self) -> None:
        """Know again what changed. Where a part goes meanwhile, another one may have come that is
        newer: then all is listed again."""
        while not self._knows_all():
            pass

    def _knows_all(self) -> bool:
        listed = {one.name: one for one in self._storage.list(names.LATEST)}
        for name in self._parts.keys() - listed.keys():
            self._forget(name)
        for name, one in listed.items():
            if name not in self._parts or self._parts[name].generation != one.generation:
                try:
                    self._know(one)
                except Absent:
                    return False
        return True

    def _know(self, listed: Listed) -> None:
        """The places of a part; all of it, where there is room."""
        self._forget(listed.name)
        if self._held + listed.size <= self._most_held:
            self._take(listed.name)
            return
        places = frozenset(self._places(listed.name))
        self._parts[listed.name] = _Part(listed.generation, places, listed.size)

    def _places(self, name: str) -> Sequence[str]:
        if (place := names.latest_place(name)) is not None:
            return (place,)
        with self._storage.open(name) as stream:
            return parts.places(name, stream)

    def _take(self, name: str) -> Mapping[str, Content]:
        """Read a part, and keep it where there is room; gives what it says of each place."""
        stored = self._storage.read(name)
        contents = parts.contents(name, stored.data)
        known = self._parts.get(name)
        if known is None or known.generation != stored.generation:
            self._forget(name)
            known = _Part(stored.generation, frozenset(contents), len(stored.data))
            self._parts[name] = known
        if known.data is None and self._held + known.size <= self._most_held:
            known.data = stored.data
            self._held += known.size
        return contents

    def _forget(self, name: str) -> None:
        part = self._parts.pop(name, None)
        if part is not None and part.data is not None:
            self._held -= part.size

    def _in_groups(self, places: Collection[str]) -> Iterator[list[str]]:
        """The places in groups that have room in memory."""
        shares: dict[str, float] = {}
        for part in self._parts.values():
            for place in part.places:
                shares[place] = shares.get(place, 0.0) + part.share
        group: list[str] = []
        size = 0.0
        for place in places:
            share = shares.get(place, 0.0)
            if group and size + share > self._together:
                yield group
                group, size = [], 0.0
            group.append(place)
            size += share
        if group:
            yield group

    def _found(self, places: Sequence[str]) -> _Found:
        """What the parts say of these places; looked for again where one of them is gone."""
        while True:
            try:
                return self._gathered(frozenset(places))
            except Absent:
                self._look()

    def _gathered(self, places: frozenset[str]) -> _Found:
        found: _Found = {}
        for name in sorted(self._parts):
            part = self._parts[name]
            if part.places.isdisjoint(places):
                continue
            held = part.data
            contents = self._take(name) if held is None else parts.contents(name, held)
            for place in places & contents.keys():
                found.setdefault(place, []).append((name, bytes(contents[place])))
        return found

    def _merged(self, place: str, found: Sequence[tuple[str, bytes]]) -> Latest | None:
        """The newest runs of a place, and note which part they are from."""
        if not found:
            return None
        told = [(name, Latest.FromString(content)) for name, content in found]
        runs = merged(run for _, latest in told for run in latest.runs)
        newest = {forecaster(run): age(run) for run in runs}
        for name, latest in told:
            ends = [end(run) for run in latest.runs if age(run) == newest[forecaster(run)]]
            if (part := self._parts.get(name)) is not None:
                part.needed[place] = max(ends, default=0)
        return told[0][1] if len(told) == 1 else Latest(place_id=place, runs=runs)


def read_one(storage: Storage, place: str) -> Latest | None:
    """The newest runs of one place; None where there is nothing of it."""
    ((_, latest),) = LatestReader(storage, held=0, together=sys.maxsize).read([place])
    return latest


def _is_over(part: _Part, limit: int) -> bool:
    """Whether no place that was looked at needs the part."""
    return all(until < limit for until in part.needed.values())


def _is_stale(part: _Part, limit: int) -> bool:
    """Whether no place at all needs it."""
    return part.places <= part.needed.keys() and _is_over(part, limit)
