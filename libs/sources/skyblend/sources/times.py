"""Times as NumPy columns in UTC: strict reading of text, epochs and local wall times."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

Instants = NDArray[np.datetime64]

HOUR = np.timedelta64(3600, "s")
DAY = np.timedelta64(86400, "s")

_FIRST, _LAST = -2208988800, 7258118400  # 1900 and 2200 in epoch seconds
_MINUTES = re.compile(r"(?:\d{4}-\d\d-\d\dT\d\d:\d\d\n)*", re.ASCII)
_DATES = re.compile(r"(?:\d{4}-\d\d-\d\d\n)*", re.ASCII)
_ZONED = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,6})?)?(?:Z|[+-]\d\d:?\d\d)", re.ASCII
)


def instant(moment: datetime) -> np.datetime64:
    """An aware datetime as datetime64[us] in UTC."""
    return np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")


def zoned(text: str) -> np.datetime64:
    """One ISO 8601 time with `Z` or an offset. Raises ValueError for anything else."""
    if not _ZONED.fullmatch(text):
        raise ValueError(f"not an ISO 8601 time with Z or an offset: {text!r}")
    try:
        return instant(datetime.fromisoformat(text))
    except OverflowError as error:
        raise ValueError(f"outside the calendar: {text!r}") from error


def wall_times(texts: Sequence[str], *, dates: bool = False) -> Instants:
    """`2026-11-20T10:00` strings, or with `dates` `2026-11-20` ones, as they stand.

    Raises ValueError for any other form.
    """
    pattern = _DATES if dates else _MINUTES
    if not pattern.fullmatch("\n".join([*texts, ""])):
        form = "YYYY-MM-DD" if dates else "YYYY-MM-DDTHH:MM"
        raise ValueError(f"not all of the form {form}")
    return np.array(texts, dtype="datetime64[us]")


def epochs(seconds: Sequence[int]) -> Instants:
    """True UTC epochs in seconds.

    Raises ValueError where one is not within the years 1900 to 2200.
    """
    column = np.array(seconds, dtype=np.int64)
    if column.size and (column.min() < _FIRST or column.max() > _LAST):
        raise ValueError("not epoch seconds of the years 1900 to 2200")
    return column.astype("datetime64[s]").astype("datetime64[us]")


def local_to_utc(walls: Instants, zone: ZoneInfo) -> Instants:
    """Wall times of a zone in UTC; NaT where an hour cannot be told.

    That is one that the clock skips, or shows twice while the column names it once.

    Of an hour that stands twice in the column, the first is before the clocks go back and the
    second after.
    """
    moments = walls.astype("datetime64[us]").tolist()
    return np.array(
        [_one_to_utc(wall, moments, index, zone) for index, wall in enumerate(moments)],
        dtype="datetime64[us]",
    )


def _one_to_utc(
    wall: datetime, walls: Sequence[datetime], index: int, zone: ZoneInfo
) -> np.datetime64:
    first, second = wall.replace(tzinfo=zone, fold=0), wall.replace(tzinfo=zone, fold=1)
    if first.utcoffset() == second.utcoffset():
        return instant(first)
    if first.astimezone(UTC).astimezone(zone).replace(tzinfo=None) != wall:
        return np.datetime64("NaT", "us")
    repeat = walls.count(wall)
    if repeat != 2:
        return np.datetime64("NaT", "us")
    return instant(first if walls.index(wall) == index else second)


def local_days(starts: Instants, zone: ZoneInfo) -> tuple[Instants, NDArray[np.int32]]:
    """The UTC ends of the local days `starts`, and the days' lengths in seconds."""
    dates: list[datetime] = starts.astype("datetime64[us]").tolist()
    begins = [date.replace(tzinfo=zone).astimezone(UTC) for date in dates]
    ends = [(date + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC) for date in dates]
    lengths = [(end - begin).total_seconds() for begin, end in zip(begins, ends, strict=True)]
    return np.array([instant(end) for end in ends], "datetime64[us]"), np.array(lengths, np.int32)
