"""Record files of days that are over become few."""

from collections import Counter
from datetime import date, datetime

from skyblend.runtime import names
from skyblend.runtime.place import Runtime
from skyblend.runtime.tables.compact import compact

MANY = 12  # files of a day and table that are worth one


def compact_closed_days(runtime: Runtime, *, now: datetime) -> int:
    """Merge the record files of every day before today (UTC) that has many; gives how many went
    into others. To be called once a day; a repeat finds nothing to do. Nothing is merged where the
    tables do not read the files."""
    if not runtime.tables.reads_files:
        return 0
    files = Counter(
        (prefix, listed.name.removeprefix(prefix)[:10])
        for prefix in (names.FORECASTS, names.OBSERVATIONS)
        for listed in runtime.storage.list(prefix)
    )
    days = {date.fromisoformat(day) for (_, day), count in files.items() if count >= MANY}
    closed = sorted(day for day in days if day < now.date())
    return sum(compact(runtime.storage, day, fewest=MANY) for day in closed)
