"""A tick: fetch what is due, store it raw, announce it.

Sources are collected side by side, so one that is slow or down delays no other. What a provider
refuses for now is not stored, stays due and is asked for again at the next tick. A tick with more
than SKYBLEND_FAN_OUT tasks hands them over to the bus, one by one.
"""

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import datetime

from skyblend.ingest.announce import reannounce
from skyblend.ingest.arrivals import adopt_left
from skyblend.ingest.collecting import (
    PATIENCE,
    Collecting,
    Failure,
    SourceReport,
    Tick,
    session,
    utc_now,
)
from skyblend.ingest.fetch import Http
from skyblend.runtime import places as known_places
from skyblend.runtime.logs import current, trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.traces import span
from skyblend.sources.contract import Source
from skyblend.sources.registry import SOURCES

__all__ = ["PATIENCE", "CollectReport", "Failure", "SourceReport", "collect"]


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
        trace(),
        span("tick", places=len(places)) as recorded,
        nullcontext(http) if http else closing(session(runtime.settings)) as asked,
        ThreadPoolExecutor(max(1, len(chosen))) as pool,
    ):
        reannounce(runtime, clock(), sources=[n for n, one in sources.items() if one.schedules])
        this = Tick(runtime, tick, asked, clock, current().carried())
        each = [Collecting(this, one) for one in chosen]
        due = list(pool.map(lambda one: one.due(places), each))
        goes_over_bus = 0 < runtime.settings.fan_out < sum(map(len, due))
        act = Collecting.publish if goes_over_bus else Collecting.run
        report = CollectReport(tick, current().trace, tuple(pool.map(act, each, due)))
        adopt_left(runtime, clock())
        recorded.note(objects=len(report.objects), failures=len(report.failures))
    return report


def _chosen(sources: Mapping[str, Source], name: str | None) -> Iterable[Source]:
    return sources.values() if name is None else (sources[name],)
