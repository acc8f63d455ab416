"""The time axes of JSON answers: ISO texts or epochs, hours or days, in GMT or in a zone.

The zone's name decides and never a stated offset, which is today's and wrong for the other half of
the year.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from skyblend.sources.answers import Answers, kind
from skyblend.sources.contract import BadPayload, Periods
from skyblend.sources.times import (
    DAY,
    Instants,
    epochs,
    local_days,
    local_to_utc,
    wall_times,
)

_GMT = ("GMT", "UTC", "Etc/UTC", "Etc/GMT")
_ZERO = np.timedelta64(0)


@dataclass(frozen=True, slots=True)
class Axis:
    """The valid times of a block in UTC; of days, their ends.

    NaT where a local clock leaves the time unknown.

    `period` is the length of the days in seconds, and 0 for hours, where each variable has its own.
    """

    valid_at: Instants
    period: Periods


def zone(read: Answers, name: str, offset: object, where: str) -> ZoneInfo | None:
    """The zone of an answer, None for GMT.

    Raises BadPayload for one that nobody knows, or GMT with an offset.
    """
    if name in _GMT:
        if offset != 0:
            raise read.bad(f"{where}.utc_offset_seconds", f"0 in {name}", kind(offset))
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise read.bad(f"{where}.timezone", "an IANA time zone", repr(name)) from error


def hours(
    read: Answers, items: Sequence[object], unit: object, where: str, *, local: ZoneInfo | None
) -> Axis:
    """An axis of moments, which must ascend. Raises BadPayload."""
    moments = _moments(read, items, unit, where, dates=False)
    if local is not None and unit == "iso8601":
        moments = local_to_utc(moments, local)
    known = np.flatnonzero(~np.isnat(moments))
    _check_order(read, items, moments, known.tolist(), where)
    return Axis(moments, 0)


def days(
    read: Answers, items: Sequence[object], unit: object, where: str, *, local: ZoneInfo | None
) -> Axis:
    """An axis of days, which end at the next midnight of their zone, after 23 to 25 hours.

    Raises BadPayload.
    """
    starts = _moments(read, items, unit, where, dates=True)
    _check_order(read, items, starts, range(len(items)), where)
    if local is None:
        return Axis(starts + DAY, 86400)
    if unit == "unixtime":
        starts = _local_dates(starts, local)
    return Axis(*local_days(starts, local))


def _moments(
    read: Answers, items: Sequence[object], unit: object, where: str, *, dates: bool
) -> Instants:
    if unit not in ("iso8601", "unixtime"):
        raise read.bad(where.replace(".time", "_units.time"), "iso8601 or unixtime", kind(unit))
    expected: type = int if unit == "unixtime" else str
    wrong = next((n for n, item in enumerate(items) if type(item) is not expected), None)
    if wrong is not None:
        raise read.bad(f"{where}[{wrong}]", f"{unit} time", kind(items[wrong]))
    try:
        if unit == "unixtime":
            return epochs(items)  # type: ignore[arg-type]
        return wall_times(items, dates=dates)  # type: ignore[arg-type]
    except (ValueError, OverflowError) as error:
        raise read.bad(where, f"{unit} times", str(error)) from error


def _check_order(
    read: Answers, items: Sequence[object], moments: Instants, known: Sequence[int], where: str
) -> None:
    """That the known moments ascend. Raises BadPayload."""
    steps = np.diff(moments[known])
    if not (steps > _ZERO).all():
        first = int(np.argmin(steps > _ZERO))
        before, after = known[first], known[first + 1]
        raise _unordered(read, items, before, after, where)


def _unordered(
    read: Answers, items: Sequence[object], before: int, after: int, where: str
) -> BadPayload:
    return read.bad(f"{where}[{after}]", f"a time after {items[before]}", str(items[after]))


def _local_dates(starts: Instants, local: ZoneInfo) -> Instants:
    """The local dates of true epochs, as midnights without a zone."""
    moments: list[datetime] = starts.astype("datetime64[us]").tolist()
    dates = [moment.replace(tzinfo=UTC).astimezone(local).date() for moment in moments]
    return np.array(dates, dtype="datetime64[us]")
