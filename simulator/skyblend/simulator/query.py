"""What a request to Open-Meteo asks for, and the words in which it refuses a bad one."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from skyblend.simulator.models import ARCHIVE_MODELS, FORECAST_MODELS
from skyblend.simulator.weather import VARIABLES

DAILY = ("temperature_2m_max", "temperature_2m_min", "precipitation_sum")
ENDPOINTS = ("forecast", "previous_runs", "archive")
_FIRST_ARCHIVED = date(1940, 1, 1)
_DAYS_AHEAD, _DAYS_BACK = 16, 92
_MOST_PLACES = 1000
_HOURLY_KEY = re.compile(rf"({'|'.join(VARIABLES)})(?:_previous_day([0-7]))?")


class BadQuery(Exception):
    """A request that is answered by 400 and this reason."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One hourly series: the key in the answer, the variable, and the day of previous runs."""

    key: str
    variable: str
    day: int = 0


@dataclass(frozen=True, slots=True)
class Point:
    """A place asked for; `elevation` is None where the ground's own is meant."""

    latitude: float
    longitude: float
    elevation: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A request that can be answered: for whole UTC days from `first` to `last`."""

    endpoint: str
    points: tuple[Point, ...]
    hourly: tuple[Asked, ...]
    daily: tuple[str, ...]
    models: tuple[str, ...]
    first: date
    last: date
    units: Mapping[str, str]  # dimension -> unit as asked
    is_unixtime: bool


_UNITS = {
    "temperature": ("temperature_unit", ("celsius", "fahrenheit")),
    "wind": ("wind_speed_unit", ("kmh", "ms", "mph", "kn")),
    "precipitation": ("precipitation_unit", ("mm", "inch")),
}


def read(endpoint: str, params: Mapping[str, str], *, today: date) -> Query:
    """The query of one of ENDPOINTS. Raises BadQuery with Open-Meteo's words, or near them."""
    if params.get("timezone", "GMT") not in ("GMT", "UTC"):
        raise BadQuery(f"The simulator knows only timezone=GMT. Given: {params['timezone']}.")
    for block in ("current", "current_weather", "minutely_15"):
        if block in params:
            raise BadQuery(f"The simulator has only hourly and daily values. Given: {block}.")
    first, last = _dates(endpoint, params, today)
    return Query(
        endpoint=endpoint,
        points=_points(params),
        hourly=tuple(_asked(name, endpoint) for name in _names(params, "hourly")),
        daily=tuple(_one_of(name, DAILY) for name in _names(params, "daily")),
        models=_models(endpoint, params),
        first=first,
        last=last,
        units={
            dimension: _choice(params, parameter, choices)
            for dimension, (parameter, choices) in _UNITS.items()
        },
        is_unixtime=_choice(params, "timeformat", ("iso8601", "unixtime")) == "unixtime",
    )


def _names(params: Mapping[str, str], parameter: str) -> list[str]:
    return [name for name in params.get(parameter, "").split(",") if name]


def _one_of(name: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise BadQuery(f"Cannot initialize variable from invalid String value {name}.")
    return name


def _asked(name: str, endpoint: str) -> Asked:
    match = _HOURLY_KEY.fullmatch(name)
    if match is None or (match[2] and endpoint != "previous_runs"):
        raise BadQuery(f"Cannot initialize variable from invalid String value {name}.")
    return Asked(name, match[1], int(match[2] or 0))


def _models(endpoint: str, params: Mapping[str, str]) -> tuple[str, ...]:
    known = ARCHIVE_MODELS if endpoint == "archive" else FORECAST_MODELS
    names = _names(params, "models") or ["best_match"]
    for name in names:
        if name not in known:
            raise BadQuery(f"Cannot initialize MultiDomains from invalid String value {name}.")
    return tuple(names)


def _choice(params: Mapping[str, str], parameter: str, choices: tuple[str, ...]) -> str:
    value = params.get(parameter, choices[0])
    if value not in choices:
        raise BadQuery(f"Cannot initialize {parameter} from invalid String value {value}.")
    return value


def _points(params: Mapping[str, str]) -> tuple[Point, ...]:
    latitudes = [_number("latitude", text, 90.0) for text in _names(params, "latitude")]
    longitudes = [_number("longitude", text, 180.0) for text in _names(params, "longitude")]
    if not latitudes or len(latitudes) != len(longitudes):
        raise BadQuery("Parameter 'latitude' and 'longitude' must have the same number of elements")
    if len(latitudes) > _MOST_PLACES:
        raise BadQuery(f"Only up to {_MOST_PLACES} locations can be requested at once")
    return tuple(map(Point, latitudes, longitudes, _heights(params, len(latitudes))))


def _number(parameter: str, text: str, most: float) -> float:
    try:
        value = float(text)
    except ValueError as error:
        raise BadQuery(f"Parameter '{parameter}' must be a number. Given: {text}.") from error
    if not -most <= value <= most:
        name = parameter.capitalize()
        raise BadQuery(f"{name} must be in range of -{most:g} to {most:g}°. Given: {value}.")
    return value


def _heights(params: Mapping[str, str], count: int) -> list[float | None]:
    texts = _names(params, "elevation") or ["nan"] * count
    try:
        heights = [float(text) for text in texts]
    except ValueError as error:
        raise BadQuery("Parameter 'elevation' must be a number.") from error
    if len(heights) != count:
        raise BadQuery("Parameter 'elevation' must have the same number of elements")
    return [height if math.isfinite(height) else None for height in heights]


def _dates(endpoint: str, params: Mapping[str, str], today: date) -> tuple[date, date]:
    if endpoint == "archive" or "start_date" in params or "end_date" in params:
        first, last = _date(params, "start_date"), _date(params, "end_date")
    else:
        past = _count(params, "past_days", 0, _DAYS_BACK)
        ahead = _count(params, "forecast_days", 7, _DAYS_AHEAD)
        first, last = today - timedelta(past), today + timedelta(ahead - 1)
    if first > last:
        raise BadQuery("End-date must be larger or equals than start-date.")
    if endpoint == "archive":
        _check_dates(first, last, _FIRST_ARCHIVED, today)
    else:
        ends = today - timedelta(_DAYS_BACK), today + timedelta(_DAYS_AHEAD - 1)
        _check_dates(first, last, *ends)
    return first, last


def _check_dates(first: date, last: date, earliest: date, latest: date) -> None:
    for name, value in (("start_date", first), ("end_date", last)):
        if not earliest <= value <= latest:
            allowed = f"from {earliest} to {latest}"
            raise BadQuery(f"Parameter '{name}' is out of allowed range {allowed}")


def _date(params: Mapping[str, str], parameter: str) -> date:
    try:
        return date.fromisoformat(params.get(parameter, ""))
    except ValueError as error:
        raise BadQuery(f"Invalid date format in '{parameter}'. Use 'YYYY-MM-DD'.") from error


def _count(params: Mapping[str, str], parameter: str, default: int, most: int) -> int:
    text = params.get(parameter, str(default))
    if not text.isdecimal() or int(text) > most:
        name = parameter.replace("_", " ").capitalize()
        raise BadQuery(f"{name} is invalid. Allowed range 0 to {most}. Given {text}.")
    return int(text)
