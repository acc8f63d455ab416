"""One issue as the answer of `GET /v1/forecast`, in Open-Meteo's shape.

Like Open-Meteo's, `hourly` begins at 00:00 of the current day in the zone asked where no other
period is, with one fixed offset for the whole answer. An issue speaks of the future only, so hours
before it are null. A `daily` value stands at the date of the middle of its period in that zone; the
24 h series is served where there is one, else the 12 h one, and `skyblend.series` tells the period.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from skyblend.predict.serve.period import DAY, HOUR, Span, span
from skyblend.predict.serve.query import Column, Point, Query
from skyblend.protos.v1.api_pb2 import Contribution, Issued, IssuedSeries
from skyblend.protos.v1.variables_pb2 import Variable
from skyblend.weather.units import convert
from skyblend.weather.variables import BY_NAME

LAPSE_RATE: Final = -0.0065  # K/m, of the standard atmosphere
CORRECTED: Final = frozenset({"temperature_2m", "temperature_2m_max", "temperature_2m_min"})
# How Open-Meteo writes our units.
SHOWN: Final = {
    "degC": "°C",
    "degF": "°F",
    "deg": "°",
    "wmo": "wmo code",
    "W/m2": "W/m²",
    "mph": "mp/h",
}
DECIMALS: Final = 2

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Axis:
    """The times of a block: `seconds` since 1970 as keys of the values, and as they are shown."""

    seconds: range
    shown: tuple[str | int, ...]


def answer(
    issued: Issued, query: Query, *, point: Point, distance_km: float, now: datetime
) -> Json:
    """The answer for `point`, from the issue of the place that is `distance_km` away from it;
    raises BadQuery for dates out of range."""
    offset = _offset(query, now)
    asked = span(query.period, now=now, offset=offset)
    rise = _rise(issued, point)
    heads = _head(issued, query, point, offset)
    blocks: Json = {}
    used: list[IssuedSeries] = []
    for kind, columns in (("hourly", query.hourly), ("daily", query.daily)):
        if columns:
            axis = _axis(kind, asked, query, offset)
            chosen = {column.variable: _series(issued, column.variable) for column in columns}
            used += [series for series in chosen.values() if series is not None]
            blocks |= _block(kind, axis, columns, chosen, query=query, rise=rise, offset=offset)
    return (
        heads
        | blocks
        | {
            "simulated": issued.simulated,
            "skyblend": _provenance(issued, query, used, distance_km=distance_km, now=now),
        }
    )


def _head(issued: Issued, query: Query, point: Point, offset: int) -> Json:
    place = issued.place
    known = place.elevation if place.HasField("elevation") else None
    return {
        "latitude": place.latitude if place.HasField("latitude") else None,
        "longitude": place.longitude if place.HasField("longitude") else None,
        "generationtime_ms": 0.0,
        "utc_offset_seconds": offset,
        "timezone": query.zone.key if query.zone else "GMT",
        "timezone_abbreviation": _abbreviation(offset),
        "elevation": point.elevation if point.elevation is not None else known,
    }


def _block(
    kind: str,
    axis: Axis,
    columns: Sequence[Column],
    chosen: Mapping[str, IssuedSeries | None],
    *,
    query: Query,
    rise: float,
    offset: int,
) -> Json:
    """`hourly_units` and `hourly`, or the same of `daily`."""
    units: Json = {"time": "unixtime" if query.unixtime else "iso8601"}
    values: Json = {"time": axis.shown}
    for column in columns:
        unit = BY_NAME[column.variable].unit
        shown = _unit(unit, query)
        series = chosen[column.variable]
        found = _values(series, column.level, axis, offset if kind == "daily" else 0)
        lift = LAPSE_RATE * rise if column.variable in CORRECTED else 0.0
        units[column.name] = SHOWN.get(shown, shown)
        values[column.name] = _shown(convert(found + lift, unit, shown))
    return {f"{kind}_units": units, kind: values}


def _series(issued: Issued, variable: str) -> IssuedSeries | None:
    """The variable's series with its usual period, else with the longest there is."""
    usual = BY_NAME[variable].default_period
    candidates = [s for s in issued.series if Variable.Name(s.variable).lower() == variable]
    return max(candidates, key=lambda s: (s.period == usual, s.period), default=None)


def _values(
    series: IssuedSeries | None, level: int | None, axis: Axis, offset: int
) -> NDArray[np.float64]:
    """The series on the axis, NaN where it has no value. `offset` in seconds moves UTC to the
    axis's days."""
    found = np.full(len(axis.seconds), np.nan)
    if series is None:
        return found
    times = np.fromiter(series.valid_at, np.int64, len(series.valid_at))
    values = _of_level(series, level)
    if axis.seconds.step == DAY:
        times = (times - series.period // 2 + offset) // DAY * DAY
    rows = (times - axis.seconds.start) // axis.seconds.step
    fits = (times - axis.seconds.start) % axis.seconds.step == 0
    inside = fits & (rows >= 0) & (rows < len(found))
    found[rows[inside]] = values[inside]
    return found


def _shown(values: NDArray[np.float64]) -> list[float]:
    """Rounded, without a minus in front of zero."""
    shown: list[float] = (np.round(values, DECIMALS) + 0.0).tolist()
    return shown


def _of_level(series: IssuedSeries, level: int | None) -> NDArray[np.float64]:
    if level is None:
        return np.array(series.mean, dtype=np.float64)
    levels = np.round(np.array(series.level) * 100).astype(int).tolist()
    if level not in levels:
        return np.full(len(series.valid_at), np.nan)
    table = np.array(series.quantile, dtype=np.float64).reshape(-1, len(levels))
    return table[:, levels.index(level)]


def _axis(kind: str, asked: Span, query: Query, offset: int) -> Axis:
    if kind == "hourly":
        return _hours(query, asked.hours, offset)
    return _days(query, asked.days, offset)


def _hours(query: Query, seconds: range, offset: int) -> Axis:
    """Full hours (UTC), shown in the zone."""
    if query.unixtime:
        return Axis(seconds, tuple(seconds))
    return Axis(seconds, tuple(f"{_local(second, offset):%Y-%m-%dT%H:%M}" for second in seconds))


def _days(query: Query, seconds: range, offset: int) -> Axis:
    """The days of the zone, as if they were UTC's; unix times are those of the zone's midnight."""
    if query.unixtime:
        return Axis(seconds, tuple(second - offset for second in seconds))
    return Axis(seconds, tuple(f"{_local(second, 0):%Y-%m-%d}" for second in seconds))


def _local(second: int, offset: int) -> datetime:
    return datetime.fromtimestamp(second + offset, UTC)


def _offset(query: Query, now: datetime) -> int:
    shift = now.astimezone(query.zone).utcoffset() if query.zone else None
    return int((shift or timedelta()).total_seconds())


def _abbreviation(offset: int) -> str:
    """GMT, GMT-5, GMT+5:30."""
    if offset == 0:
        return "GMT"
    hours, minutes = divmod(abs(offset) // 60, 60)
    return f"GMT{'+' if offset > 0 else '-'}{hours}" + (f":{minutes:02d}" if minutes else "")


def _unit(unit: str, query: Query) -> str:
    temperature, wind, water = query.units
    return {"degC": temperature, "m/s": wind, "mm": water}.get(unit, unit)


def _rise(issued: Issued, point: Point) -> float:
    """How much higher than its place the point lies, in m; 0 where one of them is unknown."""
    if point.elevation is None or not issued.place.HasField("elevation"):
        return 0.0
    return point.elevation - issued.place.elevation


def _provenance(
    issued: Issued,
    query: Query,
    used: Sequence[IssuedSeries],
    *,
    distance_km: float,
    now: datetime,
) -> Json:
    """What the answer was made of."""
    asked = dict.fromkeys(column.variable for column in query.hourly + query.daily)
    there = {Variable.Name(series.variable).lower() for series in used}
    return {
        "place": issued.place.id,
        "name": issued.place.name or issued.place.id,
        "distance_km": round(distance_km, 3),
        "issued_at": f"{issued.issued_at.ToDatetime():%Y-%m-%dT%H:%M:%SZ}",
        "note": issued.note,
        "notes": list(query.notes),
        "series": [describe(series) for series in used],
        "sources": sources(issued, now),
        "missing": list(issued.missing),
        "not_issued": [name for name in asked if name not in there],
    }


def describe(series: IssuedSeries) -> Json:
    """A series in one line; `model` is null for the mean with a default spread."""
    return {
        "variable": Variable.Name(series.variable).lower(),
        "period": series.period,
        "model": series.model_id or None,
    }


def sources(issued: Issued, now: datetime) -> list[Json]:
    """The forecasters that were used, each once, with the age of its run in hours and the terms of
    its data."""
    runs: dict[tuple[str, str], datetime] = {}
    terms: dict[tuple[str, str], Json | None] = {}
    for contribution in issued.sources:
        key = contribution.source, contribution.model
        issued_at = contribution.issued_at.ToDatetime(UTC)
        runs[key] = min(runs.get(key, issued_at), issued_at)
        terms[key] = _terms(contribution)
    return [
        {
            "source": source,
            "model": model,
            "issued_at": f"{issued_at:%Y-%m-%dT%H:%M:%SZ}",
            "age_hours": round((now - issued_at).total_seconds() / HOUR, 1),
            "attribution": terms[source, model],
        }
        for (source, model), issued_at in runs.items()
    ]


def attributions(issued: Issued) -> list[Json]:
    """The terms of all data that were used, each once."""
    known = [terms for one in issued.sources if (terms := _terms(one)) is not None]
    return [terms for row, terms in enumerate(known) if terms not in known[:row]]


def _terms(contribution: Contribution) -> Json | None:
    """None where they are unknown, in issues of before they were stated."""
    if not contribution.HasField("attribution"):
        return None
    terms = contribution.attribution
    return {"text": terms.text, "url": terms.url or None, "licence": terms.licence or None}
