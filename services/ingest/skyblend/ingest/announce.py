"""Events of raw objects: at once when stored, and again for those that a crash left unannounced."""

import json
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

from google.protobuf.json_format import Parse
from google.protobuf.timestamp_pb2 import Timestamp
from skyblend.ingest import raw
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Upload
from skyblend.runtime import names
from skyblend.runtime.logs import trace
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Absent, Storage, update
from skyblend.sources.registry import SOURCES

EVERY = timedelta(minutes=3)


def announce(runtime: Runtime, event: RawStored) -> str:
    """Publish an event within the trace around; gives the message's id."""
    with trace() as trace_id:
        return runtime.bus.publish(event, trace=trace_id)


def reannounce(
    runtime: Runtime,
    now: datetime,
    *,
    every: timedelta = EVERY,
    sources: Collection[str] = SOURCES.keys(),
) -> list[str]:
    """Announce again what lies raw without being processed: the slots of today and yesterday,
    back-fills and uploads. Does nothing within `every` of the last time; gives the objects' names.
    Objects that are on their way are announced twice, which is harmless."""
    if not _is_time(runtime.storage, now, every):
        return []
    recent = _recent(runtime.storage, now, sources)
    left = [name for name in recent if not _is_processed(runtime.storage, name)]
    for name in left:
        announce(runtime, _event(runtime.storage, name))
    return left


def _is_time(storage: Storage, now: datetime, every: timedelta) -> bool:
    """Whether this caller is the one to do it now; of several at once it is one."""
    mine = False

    def change(before: bytes | None) -> bytes | None:
        nonlocal mine
        last = datetime.fromisoformat(json.loads(before)["at"]) if before else None
        mine = last is None or not last <= now < last + every
        return json.dumps({"at": now.isoformat()}).encode() if mine else None

    update(storage, names.ANNOUNCED, change)
    return mine


def _recent(storage: Storage, now: datetime, sources: Collection[str]) -> Iterator[str]:
    days = (names.ONCE, f"{now - timedelta(days=1):%Y-%m-%d}", f"{now:%Y-%m-%d}")
    folders = [f"{names.RAW}{source}/{day}/" for source in sorted(sources) for day in days]
    for folder in (names.UPLOADS, *folders):
        yield from (listed.name for listed in storage.list(folder))


def _is_processed(storage: Storage, name: str) -> bool:
    return storage.generation(names.processed(name)) > 0


def _event(storage: Storage, name: str) -> RawStored:
    source, received_at = _upload(storage, name) if names.is_upload(name) else _task(storage, name)
    return RawStored(object=name, source=source, received_at=received_at)


def _upload(storage: Storage, name: str) -> tuple[str, Timestamp | None]:
    try:
        meta = Parse(storage.read(names.upload_meta(name)).data, Upload())
    except Absent:
        return "", None
    return meta.source, meta.received_at


def _task(storage: Storage, name: str) -> tuple[str, Timestamp]:
    first = next(raw.answers(storage, name))
    return first.fetch.source, first.fetch.received_at
