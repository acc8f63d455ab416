"""What a pipeline does once a day besides training: the small record files of a day become one."""

from datetime import date

from skyblend.cli import times
from skyblend.runtime import names
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Storage
from skyblend.runtime.tables.compact import compact


def chores(runtime: Runtime) -> None:
    """Compact the days that are over; safe at any moment, and beside everything else."""
    today = times.now().date()
    for day in _days(runtime.storage):
        if day < today:
            compact(runtime.storage, day)


def _days(storage: Storage) -> list[date]:
    """The days that have record files, by the time of receipt."""
    found = {
        date.fromisoformat(listed.name.removeprefix(prefix)[:10])
        for prefix in (names.FORECASTS, names.OBSERVATIONS)
        for listed in storage.list(prefix)
    }
    return sorted(found)
