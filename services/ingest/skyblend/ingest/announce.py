"""Events of raw objects: at once when stored, and again for those that a crash left unannounced."""

import json
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime, timedelta

from google.protobuf.json_format import Parse
from google.protobuf.timestamp_pb2 import Timestamp
from skyblend.ingest import raw
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Upload
from skyblend.runtime import names
from skyblend.runtime.place import Runtime
from skyblend.runtime.publishing import publish, publish_all
from skyblend.runtime.raw import Damaged
from skyblend.runtime.settings import GCS
from skyblend.runtime.storage import Absent, Storage, update
from skyblend.sources.registry import SOURCES

EVERY = timedelta(minutes=3)
EVERY_IN_CLOUD = timedelta(minutes=10)  # where each listing is paid for
_AT_ONCE = 100  # announced in one go; after an outage there are many
_MOST_DAYS = 400  # whose slots are looked through after a long rest


def announce(runtime: Runtime, event: RawStored) -> str:
    """Publish an event within the trace around; gives the message's id."""
    return publish(runtime.bus, event)


def reannounce(
    runtime: Runtime,
    now: datetime,
    *,
    every: timedelta | None = None,
    sources: Collection[str] = SOURCES.keys(),
) -> list[str]:
    """Announce again what lies raw without being processed: uploads, back-fills, the slots since
    the day before the last time, and what was left then; gives the objects' names. Does nothing
    within `every` (by default EVERY, or EVERY_IN_CLOUD) of the last time, and what stays
    unprocessed is announced at longer and longer intervals; with `every` 0, as after a start, all
    is announced. What is on its way comes twice, which is harmless."""
    due: list[str] = []
    if every is None:
        every = EVERY_IN_CLOUD if runtime.settings.storage == GCS else EVERY

    def change(before: bytes | None) -> bytes | None:
        known = json.loads(before) if before else {"at": None, "left": {}}
        due.clear()
        if not _is_time(known["at"], now, every):
            return None
        storage = runtime.storage
        before_it = (name for name in known["left"] if storage.generation(name))
        recent = _recent(storage, known["at"], now, sources)
        left = {n: known["left"].get(n, 0) + 1 for n in _left(storage, (*before_it, *recent))}
        due[:] = [n for n, times in left.items() if not every or times.bit_count() == 1]
        return json.dumps({"at": now.isoformat(), "left": left}).encode()

    update(runtime.storage, names.ANNOUNCED, change)
    for start in range(0, len(due), _AT_ONCE):
        some = due[start : start + _AT_ONCE]
        publish_all(runtime.bus, [_event(runtime.storage, name) for name in some])
    return due


def _is_time(last: str | None, now: datetime, every: timedelta) -> bool:
    """Whether `every` has passed; also where the clock was set back."""
    return last is None or not timedelta(0) <= now - datetime.fromisoformat(last) < every


def _left(storage: Storage, candidates: Iterable[str]) -> Iterator[str]:
    """Those of the objects that have no mark. The marks of answers are listed by the day: to ask
    for each would cost more than all the rest of a quiet hour."""
    stored = dict.fromkeys(candidates)
    prefixes = {names.processed_beside(name) for name in stored if not names.is_upload(name)}
    marks = {one.name for prefix in prefixes for one in storage.list(prefix)}
    for name in stored:
        mark = names.processed(name)
        if mark not in marks and not (names.is_upload(name) and storage.generation(mark)):
            yield name


def _recent(
    storage: Storage, last: str | None, now: datetime, sources: Collection[str]
) -> Iterator[str]:
    since = min(datetime.fromisoformat(last), now) if last else now
    count = min((now.date() - since.date()).days + 2, _MOST_DAYS)
    days = (names.ONCE, *(f"{now - timedelta(days=back):%Y-%m-%d}" for back in range(count)))
    folders = [f"{names.RAW}{source}/{day}/" for source in sorted(sources) for day in days]
    for folder in (names.UPLOADS, *folders):
        yield from (listed.name for listed in storage.list(folder))


def _event(storage: Storage, name: str) -> RawStored:
    source, received_at = _upload(storage, name) if names.is_upload(name) else _task(storage, name)
    return RawStored(object=name, source=source, received_at=received_at)


def _upload(storage: Storage, name: str) -> tuple[str, Timestamp | None]:
    try:
        meta = Parse(storage.read(names.upload_meta(name)).data, Upload())
    except Absent:
        return "", None
    return meta.source, meta.received_at


def _task(storage: Storage, name: str) -> tuple[str, Timestamp | None]:
    """From the first answer; of an object that cannot be read the name tells the source, and
    preprocess tells the rest."""
    try:
        first = next(raw.answers(storage, name), None)
    except Damaged:
        first = None
    if first is None:
        return name.removeprefix(names.RAW).partition("/")[0], None
    return first.fetch.source, first.fetch.received_at
