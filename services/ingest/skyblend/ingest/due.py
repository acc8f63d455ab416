"""What is due at a tick: calls grouped to tasks, each of which becomes one raw object.

What is done is read from the raw objects themselves, so a repeated tick, a restart and a new place
need no other state: a place is done in a slot when an object of the slot holds its answers, and
back-filled when the object of its calls is there. What is not done keeps its task, so that whoever
derives it again gives its object the same name.
"""

import hashlib
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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

# Endpoint and slot (None: back-fill) -> ids of places whose task somebody else has in hand.
Underway = Mapping[tuple[str, datetime | None], Collection[str]]
_Batch = tuple[Sequence[Place], Sequence[Request]]


@dataclass(frozen=True, slots=True)
class Task:
    """Calls whose answers are stored together; `slot` None is a back-fill, which has its `name`.
    `places` are those of whole batches, also where a source asks nothing for some of them."""

    endpoint: str
    slot: datetime | None
    calls: tuple[Request, ...]
    name: str
    places: tuple[Place, ...]


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
    underway: Underway | None = None,
) -> Iterator[Task]:
    """The tasks of a source that are neither done nor `underway`, forecasts before back-fills."""
    for schedule in sorted(source.schedules, key=lambda one: one.every is None):
        slot = None if schedule.every is None else cut(tick, schedule.every)
        away = (underway or {}).get((schedule.endpoint, slot), ())
        if slot is None:
            left = [place for place in places if place.id not in away]
            yield from _once(source, schedule, left, tick=tick, options=options, storage=storage)
        else:
            yield from _of_slot(
                source, schedule, places, slot=slot, options=options, storage=storage, away=away
            )


def tasks_of(
    source: Source,
    schedule: Schedule,
    places: Sequence[Place],
    *,
    tick: datetime,
    options: Mapping[str, str],
    storage: Storage,
) -> list[Task]:
    """The task of exactly these places where it is not done yet; of a back-fill, one for each."""
    if schedule.every is None:
        return [*_once(source, schedule, places, tick=tick, options=options, storage=storage)]
    slot = cut(tick, schedule.every)
    batches = _batches(source, schedule, places, slot=slot, options=options)
    task = _task(source, schedule, slot, batches)
    return [task] if task.calls and not storage.generation(task.name) else []


def _of_slot(
    source: Source,
    schedule: Schedule,
    places: Sequence[Place],
    *,
    slot: datetime,
    options: Mapping[str, str],
    storage: Storage,
    away: Collection[str],
) -> list[Task]:
    prefix = names.answers_of_slot(source.name, schedule.endpoint, slot)
    stored = {listed.name for listed in storage.list(prefix)}
    everything = _tasks(source, schedule, places, slot=slot, options=options)
    left = [task for task in everything if task.name not in stored]
    others = stored.difference(task.name for task in everything)
    if not left or not (others or away):
        return left
    done = {_place(place) for name in others for place in raw.places(storage, name)}
    whole, rest = _divided(left, lambda place: place.id in away or _place(place) in done)
    return [*whole, *_tasks(source, schedule, rest, slot=slot, options=options)]


def _divided(
    left: Iterable[Task], is_done: Callable[[Place], bool]
) -> tuple[list[Task], list[Place]]:
    """The tasks of which nothing is done, and the places that are not done of the others."""
    whole: list[Task] = []
    rest: list[Place] = []
    for task in left:
        due = [place for place in task.places if not is_done(place)]
        if len(due) == len(task.places):
            whole.append(task)
        else:
            rest += due
    return whole, rest


def _tasks(
    source: Source,
    schedule: Schedule,
    places: Sequence[Place],
    *,
    slot: datetime,
    options: Mapping[str, str],
) -> list[Task]:
    batches = _batches(source, schedule, places, slot=slot, options=options)
    return [_task(source, schedule, slot, together) for together in _grouped(batches)]


def _batches(
    source: Source,
    schedule: Schedule,
    places: Sequence[Place],
    *,
    slot: datetime,
    options: Mapping[str, str],
) -> list[_Batch]:
    batches = [places[i : i + schedule.batch] for i in range(0, len(places), schedule.batch)]
    return [
        (batch, [*source.requests(schedule.endpoint, batch, slot=slot, options=options)])
        for batch in batches
    ]


def _task(source: Source, schedule: Schedule, slot: datetime, together: Iterable[_Batch]) -> Task:
    batches = [*together]
    calls = tuple(call for _, asked in batches for call in asked)
    return Task(
        schedule.endpoint,
        slot,
        calls,
        task_name(source.name, schedule.endpoint, slot, calls),
        tuple(place for batch, _ in batches for place in batch),
    )


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
            yield Task(schedule.endpoint, None, calls, name, (place,))


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


def _grouped(batches: Sequence[_Batch]) -> Iterator[list[_Batch]]:
    """Whole batches together, so that no task is too large and the work divides among PARALLEL."""
    share = math.ceil(sum(len(calls) for _, calls in batches) / PARALLEL)
    most = min(share, LARGEST_TASK)
    task: list[_Batch] = []
    for batch in batches:
        together = [*task, batch]
        if _calls(task) and (_calls(together) > most or _answers(together) > LARGEST_TASK):
            yield task
            together = [batch]
        task = together
    if _calls(task):
        yield task


def _calls(batches: Iterable[_Batch]) -> int:
    return sum(len(calls) for _, calls in batches)


def _answers(batches: Iterable[_Batch]) -> int:
    return sum(len(call.places) for _, calls in batches for call in calls)


def _params(call: Request) -> list[tuple[str, str]]:
    return sorted((name, "" if name in call.secrets else v) for name, v in call.params.items())


def _places(places: Iterable[Place]) -> list[tuple[str, float, float]]:
    return [_place(place) for place in places]


def _place(place: Place) -> tuple[str, float, float]:
    return place.id, place.latitude, place.longitude
