"""Files that came into the bucket by themselves, through a signed URL or an operator's copy: taken
over as uploads.

A kill between any two steps loses nothing and doubles nothing: the notification comes again, and
until the arrival is deleted all is done again to the same names; afterwards nothing is there.
What cannot be an upload stays where it is and has a quarantine entry, so it does not come back.
"""

import hashlib
import json
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote

from skyblend.ingest.uploads import (
    BadUpload,
    StoredUpload,
    TooLarge,
    checked_name,
    checked_source,
    store_steady,
)
from skyblend.runtime import names
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Absent, Changed, StorageError, update
from skyblend.runtime.storage.finalized import Finalized
from skyblend.runtime.storage.names import problem

LOOK = timedelta(minutes=10)  # a notification takes seconds, its five tries some minutes
_SOURCE, _COLLECT = "source-", "collect"
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Stated:
    """What the name of an arrival says of the file."""

    file_name: str
    source: str = ""
    collect: bool = False


def arrival_name(file_name: str, *, source: str = "", collect: bool = False) -> str:
    """A new name below `uploads/` for a file. What is stated of it stands in the name, which a
    signature covers and no copy loses. Raises BadUpload."""
    said = (f"{_SOURCE}{checked_source(source)}" if source else "", _COLLECT if collect else "")
    id_ = ".".join((secrets.token_hex(8), *filter(None, said)))
    name = f"{names.ARRIVALS}{id_}/{checked_name(file_name)}"
    if (reason := problem(name)) is not None:
        raise BadUpload("name", "a name that an object may have", reason)
    return name


def stated(name: str) -> Stated:
    """What the name of an arrival says; one of another making says only the file's name."""
    id_, _, file_name = name.removeprefix(names.ARRIVALS).rpartition("/")
    said = id_.split(".")[1:]
    sources = [word.removeprefix(_SOURCE) for word in said if word.startswith(_SOURCE)]
    return Stated(file_name, sources[0] if sources else "", _COLLECT in said)


def adopt(runtime: Runtime, arrival: Finalized, *, now: datetime) -> StoredUpload | None:
    """Take an arrival over as an upload, and delete it. None where there is nothing to do: it is
    no arrival, another generation stands there, or it was taken over before; and where it is
    refused, which its quarantine entry tells."""
    if not _is_ours(runtime, arrival):
        return None
    try:
        stored = _store(runtime, arrival, now=now)
    except (BadUpload, TooLarge) as refused:
        _refuse(runtime, arrival.name, refused, now=now)
        return None
    if stored is not None:
        runtime.storage.delete(_entries(arrival.name))
        _delete(runtime, arrival)
    return stored


def adopt_left(runtime: Runtime, now: datetime) -> None:
    """Take over what stands in `uploads/` as it stood at the look before, LOOK ago or more: its
    notification is lost or given up. One at a time, since it may be large and a tick waits for it.
    What was refused has its entry and stays."""
    for arrival in _left(runtime, now):
        if not runtime.storage.generation(_entries(arrival.name)):
            _LOG.warning("%s is taken over without a notification", arrival.name)
            try:
                adopt(runtime, arrival, now=now)
            except (StorageError, OSError):
                _LOG.exception("%s is not taken over now", arrival.name)
            else:
                return


def _left(runtime: Runtime, now: datetime) -> list[Finalized]:
    left: list[Finalized] = []
    bucket = runtime.settings.bucket

    def change(before: bytes | None) -> bytes | None:
        known = json.loads(before) if before else {"at": None, "seen": {}}
        left.clear()
        at = known["at"]
        if at is not None and timedelta(0) <= now - datetime.fromisoformat(at) < LOOK:
            return None
        seen = {one.name: one.generation for one in runtime.storage.list(names.ARRIVALS)}
        same = (name for name, generation in seen.items() if known["seen"].get(name) == generation)
        left[:] = [Finalized(bucket, name, seen[name]) for name in same]
        return json.dumps({"at": now.isoformat(), "seen": seen}).encode()

    update(runtime.storage, names.ARRIVED, change)
    return left


def retry(runtime: Runtime, name: str, *, now: datetime) -> StoredUpload | None:
    """Take over what was refused before, as it stands now; None where it is refused again. Raises
    Absent where somebody removed it, and forgets the refusal."""
    generation = runtime.storage.generation(name)
    if not generation:
        runtime.storage.delete(_entries(name))
        raise Absent(name, "somebody removed it since it was refused")
    return adopt(runtime, Finalized(runtime.settings.bucket, name, generation), now=now)


def _is_ours(runtime: Runtime, arrival: Finalized) -> bool:
    """Whether it lies below `uploads/` of our bucket and is a file; the console makes empty objects
    that end with a slash for folders."""
    ours = runtime.settings.bucket in ("", arrival.bucket)
    return ours and arrival.name.startswith(names.ARRIVALS) and not arrival.name.endswith("/")


def _store(runtime: Runtime, arrival: Finalized, *, now: datetime) -> StoredUpload | None:
    """Store what stands there, if it is the generation that was told of. The stream is of one
    generation, so it can be read twice: once for its sha256."""
    if (reason := problem(arrival.name)) is not None:
        raise BadUpload("name", "a name that an object may have", reason)
    if runtime.storage.generation(arrival.name) != arrival.generation:
        return None
    said = stated(arrival.name)
    try:
        with runtime.storage.open(arrival.name) as stream:
            return store_steady(
                runtime,
                stream,
                file_name=said.file_name,
                source=said.source,
                collect=said.collect,
                now=now,
            )
    except Absent as absent:
        if absent.name == arrival.name:  # taken over by another delivery since
            return None
        raise


def _delete(runtime: Runtime, arrival: Finalized) -> None:
    try:
        runtime.storage.delete(arrival.name, if_generation=arrival.generation)
    except Changed:  # deleted by another delivery, or written anew, which is told of by itself
        _LOG.info("%s is no longer at the generation that was taken over", arrival.name)


def _refuse(runtime: Runtime, name: str, refused: BadUpload | TooLarge, *, now: datetime) -> None:
    """Write the entry that `skyblend quarantine list` shows."""
    _LOG.warning("an arrival is refused: %s", refused, extra={"arrival": name})
    entry = {
        "id": hashlib.sha256(f"{name}#arrival".encode(errors="replace")).hexdigest()[:12],
        "source": stated(name).source,
        "file_name": stated(name).file_name,
        "member": "",
        "where": refused.where,
        "expected": refused.expected,
        "got": refused.got,
        "sample": "",
        "received_at": now.isoformat().replace("+00:00", "Z"),
    }
    content = json.dumps({"raw": name, "entries": [entry]}).encode()
    runtime.storage.write(_entries(name), content)


def _entries(name: str) -> str:
    """The quarantine object of an arrival, whatever its name holds."""
    return names.quarantine(quote(name, errors="replace"))
