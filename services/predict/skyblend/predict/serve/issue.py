"""Issuing: each configured place once per state of its inputs, into the ledger and then into what
GET reads.

The ledger's segment comes first, since it holds everything; a crash behind it is repaired by the
next issue, which finishes from the head segment before it does anything else. So what the ledger
holds is always served, once.
"""

import logging
import threading
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from skyblend.predict.serve import ledger
from skyblend.predict.serve.champions import Champions, ChampionWatch
from skyblend.predict.serve.computing import inputs, issue_place, members_of
from skyblend.protos.v1.api_pb2 import Issued, LedgerSegment
from skyblend.protos.v1.records_pb2 import Latest, Place
from skyblend.runtime import metrics, names
from skyblend.runtime.latest.reader import LatestReader
from skyblend.runtime.place import Runtime
from skyblend.runtime.places import read as read_places
from skyblend.runtime.storage import Absent, Storage, StorageError, update
from skyblend.runtime.traces import span

__all__ = ["IssueReport", "Issuer", "issue", "issue_place", "publish"]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IssueReport:
    """Place ids: `issued` anew, `unchanged` since their last issue, `waiting` for a first forecast
    from any source. `segment` is the number of the ledger's new segment, 0 where nothing was
    issued."""

    issued: tuple[str, ...] = ()
    unchanged: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    segment: int = 0


def issue(runtime: Runtime, *, now: datetime, places: Collection[str] | None = None) -> IssueReport:
    """Issue the configured places, or those of them that are named, once."""
    return Issuer(runtime).issue(now=now, places=places)


class Issuer:
    """Issues for one process: keeps the models and the ledger's head between cycles; one cycle at a
    time."""

    def __init__(self, runtime: Runtime) -> None:
        self._storage = runtime.storage
        self._simulated = runtime.settings.is_simulated
        self.champions = ChampionWatch(runtime.storage)
        self._latest = LatestReader(runtime.storage)
        self._head = ledger.Head()
        self._finished = 0  # number of the last segment that is known to be served
        self._cycle = threading.Lock()

    def issue(self, *, now: datetime, places: Collection[str] | None = None) -> IssueReport:
        """One cycle; raises LedgerError where the ledger cannot be continued."""
        with self._cycle, span("issue") as recorded:
            self._catch_up()
            report = self._issue(now, places)
            if places is None:
                self._remove_stale(now)
            recorded.note(issued=len(report.issued), unchanged=len(report.unchanged))
            return report

    def _issue(self, now: datetime, only: Collection[str] | None) -> IssueReport:
        made: list[Issued] = []
        unchanged, waiting = [], []
        champions = self.champions.current()
        places = {place.id: place for place in self._places(only)}
        for place_id, latest in self._latest.read(places):
            place = places[place_id]
            if latest is None:
                waiting.append(place_id)
            elif self._is_current(place, latest, champions, now):
                unchanged.append(place_id)
            else:
                made.append(
                    issue_place(place, latest, champions, now=now, simulated=self._simulated)
                )
        added = self._append(made, now)
        _observe(added, now)
        segment = self._head.number if added else 0
        return IssueReport(
            tuple(one.place.id for one in added), tuple(unchanged), tuple(waiting), segment
        )

    def _append(self, made: Sequence[Issued], now: datetime) -> Sequence[Issued]:
        """Into the ledger, then into what GET reads."""
        self._head, added = ledger.append(
            self._storage, made, after=self._head, at=now, still_new=_still_new
        )
        for one in added:
            publish(self._storage, one)
        self._finished = self._head.number if added else self._finished
        return added

    def _remove_stale(self, now: datetime) -> None:
        """Where the bucket refuses, what is stale stays until the next cycle."""
        try:
            removed = self._latest.remove_stale(now=now)
        except StorageError as error:
            _LOG.warning("stale parts of %s stay: %s", names.LATEST, error)
            return
        if removed:
            _LOG.info("%d stale parts of %s removed", len(removed), names.LATEST)

    def _catch_up(self) -> None:
        """Find the ledger's head and serve what it holds, where a crash or another process came
        between."""
        self._head, segment = ledger.find_head(self._storage, self._head)
        if segment is None or self._head.number == self._finished:
            return
        issued = {one.place.id: one for one in segment.issued}
        for place_id, latest in self._latest.read(issued):
            one = issued[place_id]
            one.members.extend(members_of(one, latest) if latest else ())
            publish(self._storage, one)
        self._finished = self._head.number

    def _places(self, only: Collection[str] | None) -> Iterator[Place]:
        for place_id, place in read_places(self._storage).items():
            if only is None or place_id in only:
                yield place

    def _is_current(
        self, place: Place, latest: Latest, champions: Champions, now: datetime
    ) -> bool:
        """Whether the last issue had the same inputs, or is of a later time than `now`."""
        try:
            last = Issued.FromString(self._storage.read(names.issued(place.id)).data)
        except Absent:
            return False
        if last.issued_at.ToDatetime(UTC) > now:
            return True
        return last.inputs == inputs(place, latest, champions, now=now, simulated=self._simulated)


def publish(storage: Storage, issued: Issued) -> None:
    """Write what GET reads; a newer one that is there stays."""

    def change(before: bytes | None) -> bytes | None:
        there = Issued.FromString(before) if before else Issued()
        is_newer = there.issued_at.ToNanoseconds() > issued.issued_at.ToNanoseconds()
        is_same = before is not None and there.inputs == issued.inputs
        if is_newer or (is_same and len(there.members) >= len(issued.members)):
            return None
        return issued.SerializeToString(deterministic=True)

    update(storage, names.issued(issued.place.id), change)


def _still_new(theirs: LedgerSegment, ours: Sequence[Issued]) -> Sequence[Issued]:
    """What of ours another writer's segment has not issued already, from the same inputs or
    later."""
    there = {one.place.id: one for one in theirs.issued}

    def is_new(one: Issued) -> bool:
        other = there.get(one.place.id)
        return other is None or (
            other.inputs != one.inputs
            and other.issued_at.ToNanoseconds() <= one.issued_at.ToNanoseconds()
        )

    return [one for one in ours if is_new(one)]


def _observe(issued: Sequence[Issued], now: datetime) -> None:
    """Metrics and one log line of a cycle."""
    if not issued:
        return
    metrics.ISSUED.inc(len(issued))
    newest: dict[str, datetime] = {}
    for source in (source for one in issued for source in one.sources):
        at = source.issued_at.ToDatetime(UTC)
        newest[source.source] = max(newest.get(source.source, at), at)
    for name, at in newest.items():
        metrics.INPUT_AGE.labels(name).set((now - at).total_seconds())
    _LOG.info("issued %d places", len(issued), extra={"places": len(issued)})
