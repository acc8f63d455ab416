"""The period of an answer: Open-Meteo's `forecast_days`, `past_days`, `forecast_hours`,
`past_hours`, `start_date` and `end_date`.

Days are those of the zone asked, at its offset of now. Hours around now narrow `hourly` alone.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from skyblend.predict.serve.reading import BadQuery, whole

HOUR: Final = 3600
DAY: Final = 86400
USUAL_DAYS: Final = 7
MOST_DAYS: Final = 16  # ahead
MOST_PAST_DAYS: Final = 92
NAMES: Final = (
    "forecast_days",
    "past_days",
    "forecast_hours",
    "past_hours",
    "start_date",
    "end_date",
)
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


@dataclass(frozen=True, slots=True)
class Span:
    """Both axes: the beginnings of the days in the zone's seconds, as if they were UTC's, and the
    full hours in seconds since 1970."""

    days: range
    hours: range


@dataclass(frozen=True, slots=True)
class Period:
    """What is asked: `dates` (the first and the last), or days from today on and before it; with
    hours, `hourly` is around the current hour instead."""

    days: int = USUAL_DAYS
    past_days: int = 0
    hours: int | None = None
    past_hours: int | None = None
    dates: tuple[date, date] | None = None

    @property
    def most_days(self) -> int:
        """How many days it has at most, for the bound of an answer."""
        if self.dates is not None:
            asked = (self.dates[1] - self.dates[0]).days + 1
            return min(asked, MOST_PAST_DAYS + 1 + MOST_DAYS)
        return self.days + self.past_days

    @property
    def most_hours(self) -> int:
        """How many hours it has at most."""
        if self.hours is None and self.past_hours is None:
            return 24 * self.most_days
        return (self.past_hours or 0) + (24 * self.days if self.hours is None else self.hours)


def read(given: Mapping[str, str]) -> Period:
    """The period that the parameters ask for; raises BadQuery."""
    days = whole(given, "forecast_days", lowest=1, highest=MOST_DAYS)
    return Period(
        days=USUAL_DAYS if days is None else days,
        past_days=whole(given, "past_days", lowest=0, highest=MOST_PAST_DAYS) or 0,
        hours=whole(given, "forecast_hours", lowest=1, highest=24 * MOST_DAYS),
        past_hours=whole(given, "past_hours", lowest=0, highest=24 * MOST_PAST_DAYS),
        dates=_dates(given),
    )


def span(period: Period, *, now: datetime, offset: int) -> Span:
    """The axes at `now` in a zone of `offset` seconds; raises BadQuery for dates out of range."""
    today = (int(now.timestamp()) + offset) // DAY * DAY
    if period.dates is None:
        begin, end = today - period.past_days * DAY, today + period.days * DAY
    else:
        first, last = (_checked(day, today) for day in period.dates)
        begin, end = first, last + DAY
    return Span(range(begin, end, DAY), _hours(period, begin - offset, end - offset, now))


def _hours(period: Period, begin: int, end: int, now: datetime) -> range:
    """The full hours (UTC) between two times, or those around the current one."""
    current = int(now.timestamp()) // HOUR * HOUR
    if period.hours is not None or period.past_hours is not None:
        begin = current - (period.past_hours or 0) * HOUR
    if period.hours is not None:
        end = current + period.hours * HOUR
    return range(-(-begin // HOUR) * HOUR, end, HOUR)


def _dates(given: Mapping[str, str]) -> tuple[date, date] | None:
    there = [name for name in ("start_date", "end_date") if name in given]
    if not there:
        return None
    if len(there) == 1:
        raise BadQuery("Both 'start_date' and 'end_date' must be set.")
    if other := [name for name in NAMES if name in given and name not in there]:
        raise BadQuery(
            f"Parameter '{other[0]}' is mutually exclusive with 'start_date' and 'end_date'."
        )
    first, last = (_date(given[name], name) for name in there)
    if last < first:
        raise BadQuery(f"'end_date' must not be before 'start_date'. Given: {first}, {last}.")
    return first, last


def _date(text: str, name: str) -> date:
    try:
        if _DATE.fullmatch(text):
            return date.fromisoformat(text)
    except ValueError:
        pass  # such as 2026-02-30, refused below
    raise BadQuery(f"{name} is a date like 2026-11-20. Given: {text[:40]}.")


def _checked(day: date, today: int) -> int:
    """The day's beginning in the zone's seconds."""
    this = datetime.fromtimestamp(today, UTC).date()
    first, last = this - timedelta(MOST_PAST_DAYS), this + timedelta(MOST_DAYS)
    if not first <= day <= last:
        raise BadQuery(f"Dates are allowed from {first} to {last}. Given: {day}.")
    return today + (day - this).days * DAY
