"""A tick: fetch what is due, store it raw, announce it.

Sources are collected side by side, so one that is slow or down delays no other. What a provider
refuses for now is not stored, stays due and is asked for again at the next tick.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from threading import Lock

from skyblend.ingest import raw, retries
from skyblend.ingest.announce import announce, reannounce
from skyblend.ingest.due import PARALLEL, Task, refused_name, task_name, tasks
from skyblend.ingest.fetch import Http, fetch, is_refusal
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Place, RawAnswer
from skyblend.runtime import places as known_places
from skyblend.runtime.http import Limits, Retry, Session, Unusable
from skyblend.runtime.logs import trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import create
from skyblend.sources.contract import Request, Source
from skyblend.sources.registry import SOURCES

CALL = Limits(deadline=30.0, retries=1)
SECONDS = 45.0  # after which a source gets no further call at this tick
PATIENCE = 3  # calls without an answer after which it gets none either
BUSY = frozenset({429, 503})
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
    the tasks that stay due, `until` is when a provider that asked for patience is asked again."""

    source: str
    objects: tuple[str, ...] = ()
    events: tuple[str, ...] = ()
    answers: int = 0
    failures: tuple[Failure, ...] = ()
    left: int = 0
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class CollectReport:
    """What a tick brought; `events` are the ids of the messages published."""

    tick: datetime
    trace: str
    sources: tuple[SourceReport, ...]

    @property
    def objects(self) -> tuple[str, ...]:
        return tuple(name for source in self.sources for name in source.objects)

    @property
    def events(self) -> tuple[str, ...]:
        return tuple(id_ for source in self.sources for id_ in source.events)

    @property
    def failures(self) -> tuple[Failure, ...]:
        return tuple(failure for source in self.sources for failure in source.failures)


def utc_now() -> datetime:
    """Our clock."""
    return datetime.now(UTC)


def session(settings: Settings) -> Session:
    """Connections to providers as the settings have them."""
    agent = f"skyblend/0.1 ({settings.contact})" if settings.contact else "skyblend/0.1"
    return Session(user_agent=agent, limits=replace(CALL, size=settings.answer_limit))


def collect(
    runtime: Runtime,
    tick: datetime,
    *,
    source: str | None = None,
    sources: Mapping[str, Source] = SOURCES,
    http: Http | None = None,
    clock: Callable[[], datetime] = utc_now,
) -> CollectReport:
    """Collect what is due at `tick` from all sources, or from one; raises KeyError for an unknown
    one. A tick that is repeated does nothing."""
    chosen = [one for one in _chosen(sources, source) if one.schedules]
    places = [place for place in known_places.read(runtime.storage).values() if place.collect]
    with (
        trace() as trace_id,
        nullcontext(http) if http else closing(session(runtime.settings)) as asked,
        ThreadPoolExecutor(max(1, len(chosen))) as pool,
    ):
        reannounce(runtime, clock(), sources=sources.keys())
        this = _Tick(runtime, tick, asked, clock, trace_id)
        running = [pool.submit(_Collecting(this, one).run, places) for one in chosen]
    return CollectReport(tick, trace_id, tuple(one.result() for one in running))


def _chosen(sources: Mapping[str, Source], name: str | None) -> Iterable[Source]:
    return sources.values() if name is None else (sources[name],)


@dataclass(frozen=True, slots=True)
class _Tick:
    runtime: Runtime
    time: datetime
    http: Http
    clock: Callable[[], datetime]
    trace: str


class _Collecting:
    """One source at one tick. What its threads share: the failures and whether to go on."""

    def __init__(self, tick: _Tick, source: Source) -> None:
        self._tick, self._source, self._runtime = tick, source, tick.runtime
        self._failures: list[Failure] = []
        self._until: datetime | None = None
        self._lock = Lock()
        self._end = time.monotonic() + SECONDS

    def run(self, places: Sequence[Place]) -> SourceReport:
        """Everything that is due, PARALLEL tasks at a time, in order."""
        name, storage = self._source.name, self._runtime.storage
        if (until := retries.until(storage, name, now=self._tick.clock())) is not None:
            return SourceReport(name, until=until)
        try:
            due = self._due(places)
        except ValueError as mistake:  # an option that cannot be: the other sources go on
            self._note("", mistake)
            return self._report([], [])
        with ThreadPoolExecutor(PARALLEL) as pool:
            stored = list(pool.map(self._task, due))
        return self._report([one for one in stored if one is not None], due)

    def _due(self, places: Sequence[Place]) -> list[Task]:
        settings, storage = self._runtime.settings, self._runtime.storage
        options = settings.source_options(self._source.name)
        tick = self._tick.time
        return list(tasks(self._source, places, tick=tick, options=options, storage=storage))

    def _report(self, stored: "Sequence[_StoredTask]", due: Sequence[Task]) -> SourceReport:
        return SourceReport(
            self._source.name,
            objects=tuple(one.name for one in stored),
            events=tuple(one.event for one in stored),
            answers=sum(one.answers for one in stored),
            failures=tuple(self._failures),
            left=len(due) - sum(one.whole for one in stored),
            until=self._until,
        )

    def _task(self, task: Task) -> "_StoredTask | None":
        """Fetch a task's calls and store the answers of the places that have all of theirs."""
        with trace(self._tick.trace):
            answers = list(self._answers(task))
            complete = _complete(task.calls, answers)
            whole = len(complete) == len(task.calls)
            if not complete or (task.slot is None and not whole):
                return None
            name = self._name(task, complete)
            create(self._runtime.storage, name, raw.encode(answer for _, answer in complete))
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

    def _answers(self, task: Task) -> Iterator[RawAnswer | None]:
        """An answer for each call of the task, None where there is none."""
        for call in task.calls:
            yield self._answer(call) if self._goes_on() else None

    def _answer(self, call: Request) -> RawAnswer | None:
        try:
            return fetch(self._tick.http, call, source=self._source.name, tick=self._tick.time)
        except Retry as failure:
            self._note(call.endpoint, failure)
            if failure.status in BUSY:
                self._leave_alone(failure)
        except Unusable as failure:
            self._note(call.endpoint, failure)
        return None

    def _note(self, endpoint: str, failure: Exception) -> None:
        _LOG.warning("%s", failure, extra={"source": self._source.name, "endpoint": endpoint})
        with self._lock:
            self._failures.append(Failure(self._source.name, endpoint, str(failure)))

    def _leave_alone(self, failure: Retry) -> None:
        until = self._tick.clock() + timedelta(seconds=failure.after)
        with self._lock:
            self._until = max(until, self._until or until)
        retries.leave_alone(self._runtime.storage, self._source.name, until, reason=str(failure))

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
