"""Until when a provider asked to be left alone; in the bucket, so that it outlives a restart."""

import json
from datetime import datetime

from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage, update


def until(storage: Storage, source: str, *, now: datetime) -> datetime | None:
    """Until when `source` is not asked, or None when it may be."""
    time = last(storage, source)
    return time if time is not None and now < time else None


def last(storage: Storage, source: str) -> datetime | None:
    """Until when `source` is not or was not asked, the last time; None where it never was so."""
    try:
        kept = json.loads(storage.read(names.retry(source)).data)
    except Absent:
        return None
    return datetime.fromisoformat(kept["until"])


def leave_alone(storage: Storage, source: str, time: datetime, *, reason: str) -> None:
    """Ask `source` for nothing before `time`, or before a later time that was asked for earlier."""

    def change(before: bytes | None) -> bytes | None:
        if before and datetime.fromisoformat(json.loads(before)["until"]) >= time:
            return None
        return json.dumps({"until": time.isoformat(), "reason": reason}).encode()

    update(storage, names.retry(source), change)
