"""One raw object becomes records: members, decoding, checks, files, latest runs, and the mark that
it is done.

Every step may be repeated: record files, quarantine and mark are replaced by the same content,
`latest` keeps the newest, places are added once. A kill before the mark: the event comes again and
all is done again. A kill between the mark and RecordsReady: the event comes again, finds the mark
and publishes."""

import logging
from collections.abc import Sequence, Set
from datetime import datetime
from typing import BinaryIO

from skyblend.preprocess import quarantine
from skyblend.preprocess.bounded import Limits
from skyblend.preprocess.intake import Intake, intake
from skyblend.preprocess.mark import Processed, read_mark, write_mark, written
from skyblend.preprocess.members import Origin, members, opened
from skyblend.preprocess.rows import FORECASTS, OBSERVATIONS
from skyblend.protos.v1.events_pb2 import RawStored, RecordsReady
from skyblend.runtime import metrics, names
from skyblend.runtime.logs import trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.publishing import publish
from skyblend.runtime.tables import Query, View
from skyblend.runtime.tables.compact import supersede
from skyblend.runtime.traces import span

ASKED = 1 << 16  # rows that are compared with the tables at once
LOG = logging.getLogger(__name__)


def process(runtime: Runtime, event: RawStored, *, now: datetime, force: bool = False) -> Processed:
    """Decode the raw object of an event, write what it holds and publish RecordsReady; one that is
    done is decoded again only with `force`. Bad content becomes quarantine entries; raises
    StorageError for our own trouble."""
    with (
        trace(),
        span("process", kind="consumer") as recorded,
        opened(runtime.storage, event.object) as (source, content),
    ):
        done = None if force else read_mark(runtime.storage, event.object)
        if done is None or done.stated != source.stated:
            done = _decode(runtime, source, content(), now=now)
            write_mark(runtime.storage, done)
            _report(done)
        recorded.note(source=done.source, forecasts=done.forecasts, quarantined=done.quarantined)
        publish(runtime.bus, _ready(done))
    return done


def _decode(runtime: Runtime, source: Origin, content: BinaryIO, *, now: datetime) -> Processed:
    limits = Limits(member=runtime.settings.member_limit, unpacked=runtime.settings.unpacked_limit)
    with intake(runtime.storage, source) as taken:
        with span("decode"):
            for member in members(source, content, limits):
                taken.take(member)
            taken.finish()
        _write(runtime, source, taken)
        return _processed(runtime, source, taken, now=now)


def _write(runtime: Runtime, source: Origin, taken: Intake) -> None:
    with span("write records"):
        _write_files(runtime, source, taken)
    with span("latest", places=len(taken.latest.places)):
        taken.latest.write()


def _write_files(runtime: Runtime, source: Origin, taken: Intake) -> None:
    _write_records(runtime, FORECASTS, names.forecasts(source.raw, source.day), taken)
    _write_records(runtime, OBSERVATIONS, names.observations(source.raw, source.day), taken)
    if runtime.tables.reads_files:  # elsewhere no files are merged
        supersede(runtime.storage, source.raw, source.day)
    if source.is_upload:
        taken.places.register(runtime.storage, taken.entries)
    quarantine.write(runtime.storage, source.raw, taken.entries.finished())


def _write_records(runtime: Runtime, kind: str, name: str, taken: Intake) -> None:
    """The file of one kind, in place of what an earlier decoding left."""
    content = taken.files.finished(kind)
    if content is not None:
        runtime.storage.write(name, content)
        runtime.tables.load(name)
    elif runtime.storage.generation(name):
        runtime.tables.unload(name)
        runtime.storage.delete(name)


def _processed(runtime: Runtime, source: Origin, taken: Intake, *, now: datetime) -> Processed:
    rows = sum(taken.files.written.values())
    is_counted = source.is_upload and runtime.tables.reads_files  # else not to be read yet
    versions = _versions(runtime, source.raw, taken) if is_counted else None
    return Processed(
        raw=source.raw,
        file_name=source.file_name,
        source=source.source or ", ".join(sorted(taken.sources)),
        members=taken.members,
        forecasts=taken.files.written[FORECASTS],
        observations=taken.files.written[OBSERVATIONS],
        versions=versions,
        unchanged=None if versions is None else rows - versions,
        quarantined=taken.entries.count,
        unknown_fields=dict(sorted(taken.entries.unknown_fields.items())),
        latest_places=sorted(taken.latest.places),
        received_at=written(source.received_at),
        decoded_at=written(now),
        flagged=taken.flags.values,
        flag_reasons=taken.flags.reasons(),
        stated=source.stated,
    )


def _versions(runtime: Runtime, raw: str, taken: Intake) -> int:
    """How many rows of an upload say something new; too slow to be asked after every fetch. Asked
    for some places at a time, which bounds the memory that it takes."""
    counts = {
        FORECASTS: runtime.tables.count_forecasts,
        OBSERVATIONS: runtime.tables.count_observations,
    }
    places = sorted(taken.places.found)
    return sum(
        counts[kind](_news(raw, variables, places[start::parts]))
        for kind, variables in taken.files.variables.items()
        for parts in [1 + taken.files.written[kind] // ASKED]
        for start in range(min(parts, len(places)) if variables else 0)
    )


def _news(raw: str, variables: Set[str], places: Sequence[str]) -> Query:
    return Query(
        view=View.VERSIONS, raw=raw, variables=tuple(sorted(variables)), places=tuple(places)
    )


def _ready(done: Processed) -> RecordsReady:
    return RecordsReady(
        object=done.raw,
        source=done.source,
        latest_places=done.latest_places,
        forecasts=done.forecasts,
        observations=done.observations,
        quarantined=done.quarantined,
    )


def _report(done: Processed) -> None:
    source = done.source or "unknown"
    metrics.RECORDS.labels(source, FORECASTS).inc(done.forecasts)
    metrics.RECORDS.labels(source, OBSERVATIONS).inc(done.observations)
    metrics.QUARANTINED.labels(source).inc(done.quarantined)
    metrics.UNKNOWN_FIELDS.labels(source).inc(sum(done.unknown_fields.values()))
    counts = {"forecasts": done.forecasts, "observations": done.observations}
    LOG.info("%s processed", done.raw, extra={**counts, "quarantined": done.quarantined})
