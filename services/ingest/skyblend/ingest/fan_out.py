"""Tasks of a tick that go over the bus, one by one, so that many instances collect side by side.

What a tick publishes is kept for AGAIN in one object of the source, so that the next ticks leave
it to whoever has it in hand. What was lost on the way, and what came back empty since the provider
asked for patience, is published again when that is over. It is kept before it is published: a crash
in between only delays it.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from skyblend.ingest import retries
from skyblend.ingest.task import Task, Underway
from skyblend.protos.v1.events_pb2 import CollectTask
from skyblend.runtime import names
from skyblend.runtime.place import Runtime
from skyblend.runtime.publishing import publish_all
from skyblend.runtime.storage import Absent, Storage, update

AGAIN = timedelta(minutes=10)
_Kept = Mapping[str, Any]  # endpoint, slot, at, places of one task


def underway(storage: Storage, source: str, *, now: datetime) -> Underway:
    """The places of `source` whose tasks are on their way over the bus."""
    try:
        content = storage.read(names.fan_out(source)).data
    except Absent:
        return {}
    return _places(_fresh(content, now, retries.last(storage, source)))


def publish(
    runtime: Runtime, source: str, tasks: Sequence[Task], *, tick: datetime, now: datetime
) -> list[str]:
    """Publish the tasks, but none that another tick published in this moment; gives the messages'
    ids."""
    asked_until = retries.last(runtime.storage, source)
    ours: list[Task] = []

    def change(before: bytes | None) -> bytes | None:
        fresh = _fresh(before, now, asked_until)
        theirs = _places(fresh)
        ours[:] = [task for task in tasks if not _is_underway(task, theirs)]
        kept = [*fresh, *(_kept(task, now) for task in ours)]
        return json.dumps({"tasks": kept}, ensure_ascii=False).encode() if ours else None

    if tasks:
        update(runtime.storage, names.fan_out(source), change)
    return publish_all(runtime.bus, [_event(source, task, tick) for task in ours])


def _event(source: str, task: Task, tick: datetime) -> CollectTask:
    event = CollectTask(source=source, endpoint=task.endpoint)
    event.tick.FromDatetime(tick)
    event.place_ids.extend(place.id for place in task.places)
    return event


def _fresh(content: bytes | None, now: datetime, asked_until: datetime | None) -> list[_Kept]:
    """What was published within AGAIN, and not before the end of a wait that the provider asked
    for, in which it came back empty. Clocks of two instances may differ a little."""
    since = max(now - AGAIN, asked_until or now - AGAIN)
    kept: list[_Kept] = json.loads(content)["tasks"] if content else []
    return [one for one in kept if since <= datetime.fromisoformat(one["at"]) < now + AGAIN]


def _kept(task: Task, now: datetime) -> _Kept:
    return {
        "endpoint": task.endpoint,
        "slot": task.slot and task.slot.isoformat(),
        "at": now.isoformat(),
        "places": [place.id for place in task.places],
    }


def _places(kept: Iterable[_Kept]) -> dict[tuple[str, datetime | None], set[str]]:
    found: dict[tuple[str, datetime | None], set[str]] = {}
    for one in kept:
        slot = datetime.fromisoformat(one["slot"]) if one["slot"] else None
        found.setdefault((one["endpoint"], slot), set()).update(one["places"])
    return found


def _is_underway(task: Task, theirs: Underway) -> bool:
    away = theirs.get((task.endpoint, task.slot), ())
    return all(place.id in away for place in task.places)
