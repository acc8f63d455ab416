"""Back-fills, which are asked once for each place.

Whether one is done is read from its raw object and from what became of it. Those that are, are kept
in one object for each endpoint, so that a tick does not look for each place's again and again; it
can be removed, and is made again.
"""

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skyblend.ingest.outcome import outcome
from skyblend.ingest.task import ANY_SLOT, Task, cut, digest, task_name
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage, update
from skyblend.sources.contract import Request, Schedule, Source

_REFUSED = timedelta(hours=1)
_ATTEMPTS = 24  # of a back-fill whose answers all turn out to be useless
_SAMPLE = Place(id="sample", latitude=0, longitude=0)


@dataclass(frozen=True, slots=True)
class Backfill:
    """One endpoint of a source that is asked once for each place, at a tick."""

    source: Source
    schedule: Schedule
    tick: datetime
    options: Mapping[str, str]
    storage: Storage

    def left(self, places: Sequence[Place], *, away: Collection[str] = ()) -> list[Task]:
        """The tasks that are not done, of all places that are collected, without those `away`."""
        kept = self._kept()
        open_ = [one for one in places if _key(one) not in kept and one.id not in away]
        if not open_:
            return []
        found, done = [], []
        there = self._listed()
        for place in open_:
            attempt = self._attempt(place, there.__contains__)
            if attempt is None:
                done.append(place)
            elif attempt:
                found += self._task(place, attempt, there.__contains__)
        self._keep(done, places)
        return found

    def task(self, place: Place) -> list[Task]:
        """The task of one place, empty where it is done."""
        is_there = self._is_there
        attempt = self._attempt(place, is_there)
        return self._task(place, attempt, is_there) if attempt else []

    def _task(self, place: Place, name: str, is_there: Callable[[str], bool]) -> list[Task]:
        calls = tuple(self._requests(place, self.tick))
        refused = refused_name(self.source.name, self.schedule.endpoint, self.tick, calls)
        if is_there(refused):
            return []
        return [Task(self.schedule.endpoint, None, calls, name, (place,))]

    def _attempt(self, place: Place, is_there: Callable[[str], bool]) -> str | None:
        """The raw object that the answers shall become: none yet ("") while it is there, unless all
        of it was refused an hour ago or earlier; then it is another one. None where it is there and
        of use, or is not asked for any more."""
        asked = digest(self._requests(place, ANY_SLOT))
        for attempt in range(_ATTEMPTS):
            again = hashlib.sha256(f"{asked} {attempt}".encode()).hexdigest()
            name = names.answers(
                self.source.name, self.schedule.endpoint, None, again if attempt else asked
            )
            if not is_there(name):
                return name
            found = outcome(self.storage, name)
            if found is None:
                return ""
            if not found.is_fruitless:
                return None
            if self.tick - found.decoded_at < _REFUSED:
                return ""
        return None

    def _requests(self, place: Place, slot: datetime) -> Iterator[Request]:
        yield from self.source.requests(
            self.schedule.endpoint, [place], slot=slot, options=self.options
        )

    def _is_there(self, name: str) -> bool:
        return self.storage.generation(name) > 0

    def _listed(self) -> set[str]:
        """The raw objects of all back-fills, and of those that were refused within the hour."""
        source, endpoint = self.source.name, self.schedule.endpoint
        slots = (None, cut(self.tick, _REFUSED))
        prefixes = (names.answers_of_slot(source, endpoint, slot) for slot in slots)
        return {one.name for prefix in prefixes for one in self.storage.list(prefix)}

    def _kept(self) -> frozenset[str]:
        try:
            content = self.storage.read(self._name).data
        except Absent:
            return frozenset()
        return self._decoded(content)

    def _keep(self, done: Iterable[Place], places: Iterable[Place]) -> None:
        """Remember that these are done, and forget places that are not collected any more."""
        news = {_key(place) for place in done}
        if not news:
            return
        collected = {_key(place) for place in places}

        def change(before: bytes | None) -> bytes | None:
            kept = self._decoded(before) if before else frozenset()
            after = sorted((kept | news) & collected)
            return json.dumps({"asked": self._asked, "done": after}).encode()

        update(self.storage, self._name, change)

    def _decoded(self, content: bytes) -> frozenset[str]:
        """What is kept; nothing where other things were asked for then."""
        kept = json.loads(content)
        return frozenset(kept["done"] if kept["asked"] == self._asked else ())

    @property
    def _name(self) -> str:
        return names.backfilled(self.source.name, self.schedule.endpoint)

    @property
    def _asked(self) -> str:
        return digest(self._requests(_SAMPLE, ANY_SLOT))


def refused_name(source: str, endpoint: str, tick: datetime, calls: Sequence[Request]) -> str:
    """The raw object of a back-fill that was refused: it is asked for again in the next hour."""
    return task_name(source, endpoint, cut(tick, _REFUSED), calls)


def _key(place: Place) -> str:
    """A place at its position, in few bytes."""
    elevation = place.elevation if place.HasField("elevation") else None
    asked = f"{place.id} {place.latitude} {place.longitude} {elevation}"
    return hashlib.sha256(asked.encode()).hexdigest()[:12]
