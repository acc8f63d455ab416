"""Collecting from one source: its tasks fetched and stored, within the limits of a tick."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from threading import Lock

from skyblend.ingest import fan_out, retries
from skyblend.ingest.announce import announce
from skyblend.ingest.backfills import refused_name
from skyblend.ingest.due import PARALLEL, tasks, tasks_of
from skyblend.ingest.fetch import Http, fetch, is_refusal
from skyblend.ingest.task import Task, task_name
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Place, RawAnswer
from skyblend.runtime import raw
from skyblend.runtime.http import Limits, Retry, Session, Unusable
from skyblend.runtime.logs import trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import create
from skyblend.runtime.traces import span
from skyblend.sources.contract import Request, Schedule, Source

CALL = Limits(deadline=30.0, retries=1)
SECONDS = 45.0  # after which a source gets no further call at this tick
PATIENCE = 3  # calls without an answer after which it gets none either
BUSY = frozenset({429, 503})
PAUSE = 60.0  # in which nobody asks a provider that gave one of us no answer PATIENCE times
_Map = Callable[
    [Callable[[Request], RawAnswer | None], Iterable[Request]], Iterable[RawAnswer | None]
]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Failure:
    """A call without an answer; `reason` names it without secrets."""

    source: str
    endpoint: str
    reason: str


@dataclass(frozen=True, slots=True)
class SourceReport:
    """What a tick brought from one source: raw objects stored and calls that failed; `left` counts
    the tasks that stay due, of which `published` are on the bus; `until` is when a provider that
    asked for patience is asked again."""

    source: str
    objects: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    answers: int = 0
    failures: tuple[Failure, ...] = ()
    left: int = 0
    until: datetime | None = None
    published: int = 0


def utc_now() -> datetime:
    """Our clock."""
    return datetime.now(UTC)


def session(settings: Settings) -> Session:
    """Connections to providers as the settings have them."""
    agent = f"skyblend/0.1 ({settings.contact})" if settings.contact else "skyblend/0.1"
    return Session(user_agent=agent, limits=replace(CALL, size=settings.answer_limit))


@dataclass(frozen=True, slots=True)
class Tick:
    """What all sources of a tick share."""

    runtime: Runtime
    time: datetime
    http: Http
    clock: Callable[[], datetime]
    trace: str  # as a message carries it


class Collecting:
    """One source at one tick. What its threads share: the failures and whether to go on."""

    def __init__(self, tick: Tick, source: Source) -> None:
        self._tick, self._source, self._runtime = tick, source, tick.runtime
        self._storage = tick.runtime.storage
        self._failures: list[Failure] = []
        self._until: datetime | None = None
        self._lock = Lock()
        self._end = time.monotonic() + SECONDS

    def due(self, places: Sequence[Place]) -> list[Task]:
        """What is due and not on the bus; nothing while the provider asked for patience."""
        settings, now = self._runtime.settings, self._tick.clock()
        if self._is_left_alone(now):
            return []
        name = self._source.name
        underway = fan_out.underway(self._storage, name, now=now) if settings.fan_out else {}
        return self._found(partial(tasks, self._source, places, underway=underway))

    def due_of(self, schedule: Schedule, places: Sequence[Place]) -> list[Task]:
        """The task of exactly these places, where it is not done and the source may be asked."""
        if self._is_left_alone(self._tick.clock()):
            return []
        return self._found(partial(tasks_of, self._source, schedule, places))

    def _is_left_alone(self, now: datetime) -> bool:
        self._until = retries.until(self._storage, self._source.name, now=now)
        return self._until is not None

    def _found(self, find: Callable[..., Iterable[Task]]) -> list[Task]:
        options = self._runtime.settings.source_options(self._source.name)
        try:
            return [*find(tick=self._tick.time, options=options, storage=self._storage)]
        except ValueError as mistake:  # an option that cannot be: the other sources go on
            self._note("", mistake)
            return []

    def run(self, due: Sequence[Task]) -> SourceReport:
        """Fetch and store the tasks, PARALLEL of them at a time, in order."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            stored = list(pool.map(self._task, due))
        return self._report(stored, due)

    def publish(self, due: Sequence[Task]) -> SourceReport:
        """Leave the tasks to whoever the bus pushes them to."""
        with trace(self._tick.trace):
            now, tick = self._tick.clock(), self._tick.time
            events = fan_out.publish(self._runtime, self._source.name, due, tick=tick, now=now)
        report = self._report([], due)
        return replace(report, events=tuple(events), published=len(events))

    def run_one(self, due: Sequence[Task]) -> SourceReport:
        """Fetch and store one task, PARALLEL of its calls at a time. Where the provider gave no
        answer again and again, those who have its other tasks leave it alone for a while too."""
        with ThreadPoolExecutor(PARALLEL) as pool:
            stored = [self._task(task, side_by_side=pool.map) for task in due]
        if len(self._failures) >= PATIENCE and self._until is None:
            self._leave_alone(PAUSE, reason=self._failures[-1].reason)
        return self._report(stored, due)

    def _report(self, stored: "Sequence[_StoredTask | None]", due: Sequence[Task]) -> SourceReport:
        there = [one for one in stored if one is not None]
        return SourceReport(
            self._source.name,
            objects=tuple(one.name for one in there),
            events=tuple(one.event for one in there),
            answers=sum(one.answers for one in there),
            failures=tuple(self._failures),
            left=len(due) - sum(one.whole for one in there),
            until=self._until,
        )

    def _task(self, task: Task, *, side_by_side: _Map = map) -> "_StoredTask | None":
        """Fetch a task's calls and store the answers of the places that have all of theirs."""
        with trace(self._tick.trace):
            answers = list(side_by_side(self._answer, task.calls))
            complete = _complete(task.calls, answers)
            whole = len(complete) == len(task.calls)
            if not complete or (task.slot is None and not whole):
                return None
            name = self._name(task, complete)
            with span("store raw", source=self._source.name, answers=len(complete)):
                create(self._storage, name, raw.encode(answer for _, answer in complete))
            event = RawStored(object=name, source=self._source.name)
            event.received_at.CopyFrom(complete[0][1].fetch.received_at)
            return _StoredTask(name, announce(self._runtime, event), len(complete), whole)

    def _name(self, task: Task, complete: Sequence[tuple[Request, RawAnswer]]) -> str:
        """The task's own name where all is there; a refused back-fill stays due."""
        if task.slot is None and any(is_refusal(answer) for _, answer in complete):
            return refused_name(self._source.name, task.endpoint, self._tick.time, task.calls)
        if len(complete) == len(task.calls):
            return task.name
        return task_name(
            self._source.name, task.endpoint, task.slot, [call for call, _ in complete]
        )

    def _answer(self, call: Request) -> RawAnswer | None:
        """The answer to a call, None where there is none or the source gets no further call."""
        if not self._goes_on():
            return None
        try:
            with trace(self._tick.trace):
                return self._fetch(call)
        except Retry as failure:
            self._note(call.endpoint, failure)
            if failure.status in BUSY:
                self._leave_alone(failure.after, reason=str(failure))
        except Unusable as failure:
            self._note(call.endpoint, failure)
        return None

    def _fetch(self, call: Request) -> RawAnswer:
        source = self._source.name
        with span("fetch", kind="client", source=source, endpoint=call.endpoint) as recorded:
            answer = fetch(self._tick.http, call, source=source, tick=self._tick.time)
            recorded.note(status=answer.fetch.status, bytes=len(answer.body))
        return answer

    def _note(self, endpoint: str, failure: Exception) -> None:
        _LOG.warning("%s", failure, extra={"source": self._source.name, "endpoint": endpoint})
        with self._lock:
            self._failures.append(Failure(self._source.name, endpoint, str(failure)))

    def _leave_alone(self, seconds: float, *, reason: str) -> None:
        until = self._tick.clock() + timedelta(seconds=seconds)
        with self._lock:
            self._until = max(until, self._until or until)
        retries.leave_alone(self._storage, self._source.name, until, reason=reason)

    def _goes_on(self) -> bool:
        with self._lock:
            asked_to_wait = self._until is not None
            return (
                not asked_to_wait
                and len(self._failures) < PATIENCE
                and time.monotonic() < self._end
            )


@dataclass(frozen=True, slots=True)
class _StoredTask:
    name: str
    event: str
    answers: int
    whole: bool


def _complete(
    calls: Sequence[Request], answers: Sequence[RawAnswer | None]
) -> list[tuple[Request, RawAnswer]]:
    """The calls with their answers, without those for places of which any call has none."""
    lacking = {
        place.id
        for call, answer in zip(calls, answers, strict=True)
        if answer is None
        for place in call.places
    }
    return [
        (call, answer)
        for call, answer in zip(calls, answers, strict=True)
        if answer is not None and lacking.isdisjoint(place.id for place in call.places)
    ]
