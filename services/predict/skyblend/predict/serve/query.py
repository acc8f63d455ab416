"""The query of `GET /v1/forecast`: Open-Meteo's parameters, read once into a frozen value.

Parameters that we do not know are ignored, as Open-Meteo does, and named in the answer; a bad value
is a BadQuery.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from skyblend.predict.serve import period
from skyblend.predict.serve.period import DAY, Period
from skyblend.predict.serve.reading import BadQuery, choice
from skyblend.weather.variables import BY_NAME

LEVELS: Final = tuple(range(5, 100, 5))  # per cent
LONGEST: Final = 4000  # characters of a query string
MOST_POINTS: Final = 100
MOST_VALUES: Final = 1_000_000  # of one answer, about 5 MB
_POSITION = ("latitude", "longitude", "place", "elevation")
_WANTED = ("hourly", "daily", "quantiles", "timezone", "timeformat", "format")
_UNITS = ("temperature_unit", "wind_speed_unit", "precipitation_unit")
KNOWN: Final = frozenset((*_POSITION, *_WANTED, *period.NAMES, *_UNITS))
TEMPERATURE_UNITS: Final = {"celsius": "degC", "fahrenheit": "degF"}
WIND_UNITS: Final = {"kmh": "km/h", "ms": "m/s", "mph": "mph", "kn": "kn"}
PRECIPITATION_UNITS: Final = {"mm": "mm", "inch": "inch"}

_QUANTILE_NAME = re.compile(r"(.+)_p(\d\d)")


@dataclass(frozen=True, slots=True)
class Point:
    """A position in degrees; `elevation` in m where the query states it."""

    latitude: float
    longitude: float
    elevation: float | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the answer: a variable's predictive mean, or its quantile at `level` per
    cent."""

    variable: str
    level: int | None = None

    @property
    def name(self) -> str:
        return self.variable if self.level is None else f"{self.variable}_p{self.level:02d}"


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked. `zone` is None for GMT. Exactly one of `points` and `place` is given."""

    points: tuple[Point, ...]
    place: str
    is_list: bool
    hourly: tuple[Column, ...]
    daily: tuple[Column, ...]
    zone: ZoneInfo | None
    unixtime: bool
    period: Period
    units: tuple[
        str, str, str
    ]  # of temperature, wind speed and amounts of water, as `libs/weather` names them
    notes: tuple[str, ...] = ()


def read(query_string: str) -> Query:
    """The query behind a URL's question mark; raises BadQuery."""
    if len(query_string) > LONGEST:
        raise BadQuery(f"The query has at most {LONGEST} characters, got {len(query_string)}.")
    try:
        parameters = parse_qs(query_string, max_num_fields=64, errors="strict")
    except ValueError as error:
        raise BadQuery(f"The query cannot be read: {error}.") from error
    given = {name: ",".join(values) for name, values in parameters.items()}
    points, is_list = _points(given)
    levels = _levels(given.get("quantiles", ""))
    zone, note = _zone(given.get("timezone", "GMT"))
    if (form := given.get("format", "json")) != "json":
        raise BadQuery(f"format: only json is answered here. Given: {form[:40]}.")
    query = Query(
        points=points,
        place=given.get("place", ""),
        is_list=is_list,
        hourly=_columns(given.get("hourly", ""), "hourly", levels),
        daily=_columns(given.get("daily", ""), "daily", levels),
        zone=zone,
        unixtime=choice(given, "timeformat", {"iso8601": False, "unixtime": True}),
        period=period.read(given),
        units=_units(given),
        notes=(note,) * bool(note) + _ignored(given),
    )
    _check_size(query)
    return query


def _check_size(query: Query) -> None:
    asked = query.period
    rows = asked.most_hours * len(query.hourly) + asked.most_days * len(query.daily)
    if (count := rows * max(len(query.points), 1)) > MOST_VALUES:
        raise BadQuery(
            f"At most {MOST_VALUES} values in one answer, got {count}: "
            "ask for fewer points, days or columns."
        )


def _points(given: Mapping[str, str]) -> tuple[tuple[Point, ...], bool]:
    if "place" in given:
        if "latitude" in given or "longitude" in given:
            raise BadQuery("Give either place, or latitude and longitude.")
        return (), False
    latitudes = _numbers(given, "latitude", 90)
    longitudes = _numbers(given, "longitude", 180)
    if not latitudes or len(latitudes) != len(longitudes):
        raise BadQuery(
            "Parameters 'latitude' and 'longitude' must have the same number of elements, "
            f"at least one. Got {len(latitudes)} and {len(longitudes)}."
        )
    if len(latitudes) > MOST_POINTS:
        raise BadQuery(f"At most {MOST_POINTS} points in one call, got {len(latitudes)}.")
    elevations = _elevations(given, len(latitudes))
    return tuple(map(Point, latitudes, longitudes, elevations)), len(latitudes) > 1


def _elevations(given: Mapping[str, str], count: int) -> Sequence[float | None]:
    texts = given.get("elevation", "")
    if texts.lower() in ("", "nan"):  # Open-Meteo: nan switches the correction off
        return (None,) * count
    heights = _numbers(given, "elevation", 9999)
    if len(heights) != count:
        raise BadQuery(
            f"Parameter 'elevation' must have one element for each point ({count}), "
            f"got {len(heights)}."
        )
    return heights


def _numbers(given: Mapping[str, str], name: str, bound: float) -> list[float]:
    return [_number(text, name, bound) for text in given.get(name, "").split(",") if text.strip()]


def _number(text: str, name: str, bound: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not abs(value) <= bound:
        raise BadQuery(
            f"{name.capitalize()} must be in range of -{bound} to {bound}. Given: {text[:40]}."
        )
    return value


def _levels(text: str) -> tuple[int, ...]:
    """Per cent of `p10,p50` or `0.1,0.5`."""
    return tuple(dict.fromkeys(_level(part.strip()) for part in text.split(",") if part.strip()))


def _level(text: str) -> int:
    if re.fullmatch(r"p\d\d", text) and int(text[1:]) in LEVELS:
        return int(text[1:])
    for level in LEVELS:
        if re.fullmatch(r"0?\.\d{1,3}", text) and math.isclose(float(text) * 100, level):
            return level
    raise BadQuery(f"Quantiles are p05, p10 ... p95 or 0.05, 0.1 ... 0.95. Given: {text[:40]}.")


def _columns(text: str, kind: str, levels: tuple[int, ...]) -> tuple[Column, ...]:
    """The columns in the order asked, each variable followed by its levels of `quantiles=`."""
    columns: dict[Column, None] = {}
    for name in (part.strip() for part in text.split(",")):
        if not name:
            continue
        column = _column(name, kind)
        columns[column] = None
        if column.level is None:
            columns.update(dict.fromkeys(Column(column.variable, level) for level in levels))
    return tuple(columns)


def _column(name: str, kind: str) -> Column:
    variable, level = name, None
    if name not in BY_NAME and (match := _QUANTILE_NAME.fullmatch(name)):
        variable, level = match[1], int(match[2])
    if variable not in names_of(kind):
        raise BadQuery(
            f"{kind}: unknown variable {name[:60]!r}. Known are {', '.join(names_of(kind))}, "
            "each also with _p05, _p10 ... _p95."
        )
    if level is not None and level not in LEVELS:
        raise BadQuery(f"{kind}: quantiles are _p05, _p10 ... _p95. Given: {name[:60]}.")
    return Column(variable, level)


def names_of(kind: str) -> tuple[str, ...]:
    """The variables of `hourly` or of `daily`."""
    return tuple(
        name
        for name, variable in BY_NAME.items()
        if (variable.default_period == DAY) == (kind == "daily")
    )


def _zone(name: str) -> tuple[ZoneInfo | None, str]:
    """The zone and what is to be said about it."""
    if name in ("GMT", "UTC", ""):
        return None, ""
    if name.lower() == "auto":
        return None, "timezone=auto: the zone of a place is not known here, times are GMT"
    try:
        return ZoneInfo(name), ""
    except (
        ZoneInfoNotFoundError,
        ValueError,
        OSError,
    ) as error:  # OSError: a folder's or too long a name
        raise BadQuery(f"Invalid timezone. Given: {name[:60]}.") from error


def _units(given: Mapping[str, str]) -> tuple[str, str, str]:
    return (
        choice(given, "temperature_unit", TEMPERATURE_UNITS),
        choice(given, "wind_speed_unit", WIND_UNITS),
        choice(given, "precipitation_unit", PRECIPITATION_UNITS),
    )


def _ignored(given: Mapping[str, str]) -> tuple[str, ...]:
    names = sorted(name[:40] for name in given if name not in KNOWN)
    return (f"ignored parameters: {', '.join(names)}",) if names else ()
