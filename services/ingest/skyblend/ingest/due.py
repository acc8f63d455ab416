"""What is due at a tick: calls grouped to tasks, each of which becomes one raw object.

What is done is read from the raw objects themselves, so a repeated tick, a restart and a new place
need no other state: a place is done in a slot when an object of the slot holds its answers, and
back-filled when the object of its calls is there.
"""

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from skyblend.ingest import raw
from skyblend.ingest.outcome import outcome
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.storage import Storage
from skyblend.sources.contract import Request, Schedule, Source

LARGEST_TASK = 100  # answers, and places, of one raw object
PARALLEL = 4  # tasks of one source that are fetched at the same time
_REFUSED = timedelta(hours=1)
_ATTEMPTS = 24  # of a back-fill whose answers all turn out to be useless
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ANY_SLOT = datetime(2000, 1, 1, tzinfo=UTC)  # names a back-fill, whatever days it asks for


@dataclass(frozen=True, slots=True)
class Task:
    """Calls whose answers are stored together; `slot` None is a back-fill, which has its `name`."""

    endpoint: str
    slot: datetime | None
    calls: tuple[Request, ...]
    name: str


def cut(time: datetime, every: timedelta) -> datetime:
    """The beginning of the slot of length `every` that holds `time`; slots begin at 1970."""
    return time - (time - _EPOCH) % every


def digest(calls: Iterable[Request]) -> str:
    """A hash of what is asked for whom, without secrets and without the host that is asked."""
    asked = [[urlsplit(call.url).path, _params(call), _places(call.places)] for call in calls]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def tasks(
    source: Source,
    places: Sequence[Place],
    *,
    tick: datetime,
    options: Mapping[str, str],
    storage: Storage,
) -> Iterator[Task]:
    """The tasks of a source that are not done yet, forecasts before back-fills."""
    for schedule in sorted(source.schedules, key=lambda one: one.every is None):
        if schedule.every is None:
            yield from _once(source, schedule, places, tick=tick, options=options, storage=storage)
        else:
            slot = cut(tick, schedule.every)
            yield from _of_slot(
                source, schedule, places, slot=slot, options=options, storage=storage
            )


def _of_slot(
    source: Source,
    schedule: Schedule,
    places: Sequence[Place],
    *,
    slot: datetime,
    options: Mapping[str, str],
    storage: Storage,
) -> list[Task]:
    prefix = names.answers_of_slot(source.name, schedule.endpoint, slot)
    stored = {listed.name for listed in storage.list(prefix)}
    everything = _tasks(source, schedule, places, slot=slot, options=options)
    if not stored or stored.issuperset(task.name for task in everything):
        return [task for task in everything if task.name not in stored]
    done = {_place(place) for name in stored for place in raw.places(storage, name)}
    left = [place for place in places if _place(place) not in done]
    return _tasks(source, schedule, left, slot=slot, options=options)


def _tasks(
    source: Source,
    schedule: Schedule,
    places: Sequence[Place],
    *,
    slot: datetime,
    options: Mapping[str, str],
) -> list[Task]:
    batches = [places[i : i + schedule.batch] for i in range(0, len(places), schedule.batch)]
    asked = [
        list(source.requests(schedule.endpoint, batch, slot=slot, options=options))
        for batch in batches
    ]
    return [
        Task(schedule.endpoint, slot, calls, task_name(source.name, schedule.endpoint, slot, calls))
        for calls in _grouped(asked)
    ]


def task_name(source: str, endpoint: str, slot: datetime | None, calls: Sequence[Request]) -> str:
    """The raw object that holds the answers of these calls."""
    return names.answers(source, endpoint, slot, digest(calls))


def _once(
    source: Source,
    schedule: Schedule,
    places: Sequence[Place],
    *,
    tick: datetime,
    options: Mapping[str, str],
    storage: Storage,
) -> Iterator[Task]:
    """One task for each place: a place that is added later does not ask for the others again."""
    for place in places:
        naming = [*source.requests(schedule.endpoint, [place], slot=_ANY_SLOT, options=options)]
        name = _open_attempt(storage, source.name, schedule.endpoint, digest(naming), tick=tick)
        if name is None:
            continue
        calls = (*source.requests(schedule.endpoint, [place], slot=tick, options=options),)
        if not storage.generation(refused_name(source.name, schedule.endpoint, tick, calls)):
            yield Task(schedule.endpoint, None, calls, name)


def _open_attempt(
    storage: Storage, source: str, endpoint: str, asked: str, *, tick: datetime
) -> str | None:
    """The raw object that the answers of a back-fill shall become: None where it is there, unless
    all of it was refused an hour ago or earlier; then it is another one."""
    for attempt in range(_ATTEMPTS):
        again = hashlib.sha256(f"{asked} {attempt}".encode()).hexdigest()
        name = names.answers(source, endpoint, None, again if attempt else asked)
        if not storage.generation(name):
            return name
        found = outcome(storage, name)
        if found is None or not found.is_fruitless or tick - found.decoded_at < _REFUSED:
            return None
    return None


def refused_name(source: str, endpoint: str, tick: datetime, calls: Sequence[Request]) -> str:
    """The raw object of a back-fill that was refused: it is asked for again in the next hour."""
    return task_name(source, endpoint, cut(tick, _REFUSED), calls)


def _grouped(batches: Sequence[Sequence[Request]]) -> Iterator[tuple[Request, ...]]:
    """Whole batches together, so that no task is too large and the work divides among PARALLEL."""
    share = math.ceil(sum(map(len, batches)) / PARALLEL)
    task: list[Request] = []
    for batch in batches:
        together = [*task, *batch]
        if task and (len(together) > min(share, LARGEST_TASK) or _size(together) > LARGEST_TASK):
            yield tuple(task)
            together = [*batch]
        task = together
    if task:
        yield tuple(task)


def _size(calls: Iterable[Request]) -> int:
    return sum(len(call.places) for call in calls)


def _params(call: Request) -> list[tuple[str, str]]:
    return sorted((name, "" if name in call.secrets else v) for name, v in call.params.items())


def _places(places: Iterable[Place]) -> list[tuple[str, float, float]]:
    return [_place(place) for place in places]


def _place(place: Place) -> tuple[str, float, float]:
    return place.id, place.latitude, place.longitude
