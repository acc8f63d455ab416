"""A task of a tick that came over the bus: collected as the tick itself would have done.

The task is derived again from what the event names, so its raw object has the same name whoever
stores it and however often it comes: one that is done fetches nothing.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, nullcontext
from datetime import UTC, datetime
from threading import Lock

from skyblend.ingest import fan_out
from skyblend.ingest.collecting import Collecting, SourceReport, Tick, session, utc_now
from skyblend.ingest.fetch import Http
from skyblend.ingest.places import collected
from skyblend.ingest.task import cut
from skyblend.protos.v1.events_pb2 import CollectTask
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime.logs import current, trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.traces import span
from skyblend.sources.contract import Schedule, Source
from skyblend.sources.registry import SOURCES

TURN_SECONDS = 240.0  # that a task waits for those of its source before it
_LOG = logging.getLogger(__name__)
_TURNS: dict[str, Lock] = {}


class UnknownTask(ValueError):
    """A task of a source or an endpoint that is not known here: by a newer or an older version."""


def collect_task(
    runtime: Runtime,
    event: CollectTask,
    *,
    sources: Mapping[str, Source] = SOURCES,
    http: Http | None = None,
    clock: Callable[[], datetime] = utc_now,
    turn_seconds: float = TURN_SECONDS,
) -> SourceReport:
    """Collect one task. What a provider does not give now stays due and comes with a later tick, as
    does all of one that asked for patience. Raises UnknownTask, and StorageError where a repeat
    helps."""
    source, schedule = _schedule(event, sources)
    tick = event.tick.ToDatetime(UTC)
    if _is_superseded(runtime, schedule, event, tick, clock()):
        _LOG.info("a task of %s %s came after its time", source.name, event.endpoint)
        return SourceReport(source.name)
    with (
        trace(),
        span("collect task", kind="consumer", source=source.name, endpoint=event.endpoint),
        _turn(source.name, turn_seconds) as is_ours,
        nullcontext(http) if http else closing(session(runtime.settings)) as asked,
    ):
        collecting = Collecting(Tick(runtime, tick, asked, clock, current().carried()), source)
        if not is_ours:
            _LOG.warning("a task of %s found no turn in %.0f s", source.name, turn_seconds)
            return collecting.run_one([])
        due = collecting.due_of(schedule, _places(runtime, event))
        return collecting.run_one(due)


@contextmanager
def _turn(source: str, seconds: float) -> Iterator[bool]:
    """Tasks of one source take turns in a process, so that the calls to it at a time, its failures
    and its seconds are bounded as in a tick; who waits finds what was learnt meanwhile. False for
    one that waited so long: with more its request could not end in time. It stays due."""
    lock = _TURNS.setdefault(source, Lock())
    is_ours = lock.acquire(timeout=seconds)
    try:
        yield is_ours
    finally:
        if is_ours:
            lock.release()


def _schedule(event: CollectTask, sources: Mapping[str, Source]) -> tuple[Source, Schedule]:
    if event.source not in sources:
        raise UnknownTask(
            f"source: expected one of {', '.join(sources)}, got {event.source[:40]!r}"
        )
    source = sources[event.source]
    known = {one.endpoint: one for one in source.schedules}
    if event.endpoint not in known:
        raise UnknownTask(
            f"endpoint: expected one of {', '.join(known)}, got {event.endpoint[:40]!r}"
        )
    return source, known[event.endpoint]


def _places(runtime: Runtime, event: CollectTask) -> list[Place]:
    """The places of the event as they are now; one that is gone meanwhile is passed over."""
    known = collected(runtime.storage)
    found = [known[id_] for id_ in event.place_ids if id_ in known]
    if gone := len(event.place_ids) - len(found):
        _LOG.info("%d places of a task of %s are not collected any more", gone, event.source)
    return found


def _is_superseded(
    runtime: Runtime, schedule: Schedule, event: CollectTask, tick: datetime, now: datetime
) -> bool:
    """Whether the slot is over and the tasks of a later one are on the bus already."""
    if schedule.every is None:
        return False
    slot = cut(tick, schedule.every)
    if now - slot < schedule.every:
        return False
    away = fan_out.underway(runtime.storage, event.source, now=now)
    return any(
        endpoint == event.endpoint and other is not None and other > slot
        for endpoint, other in away
    )
