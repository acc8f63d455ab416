"""What is due at a tick: calls grouped to tasks, each of which becomes one raw object.

What is done is read from the raw objects themselves, so a repeated tick, a restart and a new place
need no other state: a place is done in a slot when an object of the slot holds its answers. What is
not done keeps its task, so that whoever derives it again gives its object the same name.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime

from skyblend.ingest import raw
from skyblend.ingest.backfills import Backfill
from skyblend.ingest.task import Task, Underway, cut, place_key, task_name
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.storage import Storage
from skyblend.sources.contract import Request, Schedule, Source

LARGEST_TASK = 100  # answers, and places, of one raw object
PARALLEL = 4  # tasks of one source that are fetched at the same time

_Batch = tuple[Sequence[Place], Sequence[Request]]


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
            yield from Backfill(source, schedule, tick, options, storage).left(places, away=away)
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
        backfill = Backfill(source, schedule, tick, options, storage)
        return [task for place in places for task in backfill.task(place)]
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
    done = {place_key(place) for name in others for place in raw.places(storage, name)}
    whole, rest = _divided(left, lambda place: place.id in away or place_key(place) in done)
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
