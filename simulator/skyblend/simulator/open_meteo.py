"""Open-Meteo's answers from the simulated atmosphere, in the shape of the real ones.

A single place is answered by an object, several by a list of which all but the first carry their
`location_id`. Keys carry the model's name where several were asked for. Outside a model's horizon,
and after now in the archive, stands null.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime

import numpy as np
import orjson
from numpy.typing import NDArray
from skyblend.simulator.atmosphere import Atmosphere, Floats, Site
from skyblend.simulator.forecasters import forecast, forecaster
from skyblend.simulator.query import BadQuery, Point, Query, read
from skyblend.simulator.weather import Weather

# Unit and decimals of each variable in metric units; the dimension where there is a choice.
_FORMS = {
    "temperature_2m": ("temperature", 1),
    "dew_point_2m": ("temperature", 1),
    "relative_humidity_2m": ("%", 0),
    "pressure_msl": ("hPa", 1),
    "surface_pressure": ("hPa", 1),
    "wind_speed_10m": ("wind", 2),
    "wind_gusts_10m": ("wind", 1),
    "wind_direction_10m": ("°", 0),
    "precipitation": ("precipitation", 2),
    "precipitation_probability": ("%", 0),
    "snowfall": ("snowfall", 2),
    "cloud_cover": ("%", 0),
    "visibility": ("visibility", 0),
    "shortwave_radiation": ("W/m²", 0),
    "weather_code": ("wmo code", 0),
    "temperature_2m_max": ("temperature", 1),
    "temperature_2m_min": ("temperature", 1),
    "precipitation_sum": ("precipitation", 2),
}
# Unit string, factor and shift from the metric unit, by dimension and by what was asked.
_UNITS = {
    ("temperature", "celsius"): ("°C", 1.0, 0.0),
    ("temperature", "fahrenheit"): ("°F", 1.8, 32.0),
    ("wind", "ms"): ("m/s", 1.0, 0.0),
    ("wind", "kmh"): ("km/h", 3.6, 0.0),
    ("wind", "mph"): ("mp/h", 1 / 0.44704, 0.0),
    ("wind", "kn"): ("kn", 3.6 / 1.852, 0.0),
    ("precipitation", "mm"): ("mm", 1.0, 0.0),
    ("precipitation", "inch"): ("inch", 1 / 25.4, 0.0),
    ("snowfall", "mm"): ("cm", 1.0, 0.0),
    ("snowfall", "inch"): ("inch", 1 / 2.54, 0.0),
    ("visibility", "mm"): ("m", 1.0, 0.0),
    ("visibility", "inch"): ("ft", 1 / 0.3048, 0.0),
}
_CHOICES = {
    "temperature": "temperature",
    "wind": "wind",
    "precipitation": "precipitation",
    "snowfall": "precipitation",
    "visibility": "precipitation",
}
_DAILY: dict[str, tuple[str, Callable[..., Floats]]] = {
    "temperature_2m_max": ("temperature_2m", np.max),
    "temperature_2m_min": ("temperature_2m", np.min),
    "precipitation_sum": ("precipitation", np.sum),
}
_NOT_KEPT = {
    "archive": frozenset({"visibility", "precipitation_probability"}),
    "previous_runs": frozenset({"visibility", "precipitation_probability", "wind_gusts_10m"}),
    "forecast": frozenset[str](),
}
_ANSWERED_OTHERWISE = ("archive", "best_match")


def answer(
    atmosphere: Atmosphere, endpoint: str, params: Mapping[str, str], *, now: datetime
) -> tuple[int, bytes]:
    """Status and JSON body of a request to the forecast, previous_runs or archive endpoint."""
    try:
        query = read(endpoint, params, today=now.astimezone(UTC).date())
    except BadQuery as bad:
        return 400, orjson.dumps({"error": True, "reason": str(bad)})
    clock = now.timestamp() / 3600.0
    places = [
        _place(atmosphere, query, index, point, clock) for index, point in enumerate(query.points)
    ]
    return 200, orjson.dumps(
        places[0] if len(places) == 1 else places, option=orjson.OPT_SERIALIZE_NUMPY
    )


def _place(
    atmosphere: Atmosphere, query: Query, index: int, point: Point, clock: float
) -> dict[str, object]:
    height = point.elevation
    if height is None:
        height = atmosphere.elevation(point.latitude, point.longitude)
    site = Site(point.latitude, point.longitude, height)
    grid = forecaster(query.models[0]).grid
    body: dict[str, object] = {
        "latitude": round(round(site.latitude / grid) * grid, 5),
        "longitude": round(round(site.longitude / grid) * grid, 5),
        "generationtime_ms": 0.1,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "timezone_abbreviation": "GMT",
        "elevation": height,
    }
    if index:
        body["location_id"] = index
    hours = _hours(query.first, query.last)
    told = [
        (
            _suffix(query, model),
            _tell(atmosphere, query, model, site=site, hours=hours, clock=clock),
        )
        for model in query.models
    ]
    if query.hourly:
        body |= _hourly(query, told, hours)
    if query.daily:
        body |= _daily(query, told, hours)
    return body


def _hours(first: date, last: date) -> Floats:
    """The full hours of the days, in hours since 1970."""
    start, end = np.datetime64(first, "h"), np.datetime64(last, "h") + 24
    return np.arange(start.astype(np.int64), end.astype(np.int64)).astype(np.float64)


def _suffix(query: Query, model: str) -> str:
    if len(query.models) == 1:
        return ""
    return "_archive_best_match" if (query.endpoint, model) == _ANSWERED_OTHERWISE else f"_{model}"


@dataclass(frozen=True, slots=True)
class _Told:
    """What a model says: for each variable one row of `hours` for each day of previous runs."""

    columns: Mapping[str, Floats]  # [days, hours]
    row: Mapping[int, int]  # of a day

    def value(self, variable: str, day: int = 0) -> Floats:
        """The hourly column as it was said `day` days before."""
        return np.asarray(self.columns[variable][self.row[day]])


def _tell(
    atmosphere: Atmosphere, query: Query, model: str, *, site: Site, hours: Floats, clock: float
) -> _Told:
    days = sorted({0} | {asked.day for asked in query.hourly})
    before = 24.0 * np.array(days)[:, np.newaxis]
    if query.endpoint == "archive":
        weather = Weather(site, hours, atmosphere.state(site, hours))
        missing = hours > clock
    else:
        speaker = forecaster(model)
        run = np.minimum(speaker.run_before(hours - before), speaker.newest_run(clock))
        weather = forecast(atmosphere, speaker, site, hours=hours, run=run)
        missing = (before > 0) & (hours - before > clock)
    names = {asked.variable for asked in query.hourly} | {_DAILY[name][0] for name in query.daily}
    columns = {
        name: np.atleast_2d(np.where(missing | (name in _NOT_KEPT[query.endpoint]), np.nan, column))
        for name, column in ((name, weather.value(name)) for name in names)
    }
    return _Told(columns, {day: row for row, day in enumerate(days)})


def _hourly(
    query: Query, told: Sequence[tuple[str, _Told]], hours: Floats
) -> dict[str, dict[str, object]]:
    units, block = _headed(query, hours.astype("datetime64[h]"))
    for suffix, model in told:
        for asked in query.hourly:
            key = f"{asked.key}{suffix}"
            values = model.value(asked.variable, asked.day)
            units[key], block[key] = _formed(query, asked.variable, values)
    return {"hourly_units": units, "hourly": block}


def _daily(
    query: Query, told: Sequence[tuple[str, _Told]], hours: Floats
) -> dict[str, dict[str, object]]:
    units, block = _headed(query, hours[::24].astype("datetime64[h]").astype("datetime64[D]"))
    for suffix, model in told:
        for name in query.daily:
            base, over_day = _DAILY[name]
            values = over_day(model.value(base).reshape(-1, 24), axis=1)
            units[f"{name}{suffix}"], block[f"{name}{suffix}"] = _formed(query, name, values)
    return {"daily_units": units, "daily": block}


def _headed(
    query: Query, times: NDArray[np.datetime64]
) -> tuple[dict[str, object], dict[str, object]]:
    """The two blocks with their first entry, the times: minutes for hours, dates for days."""
    if query.is_unixtime:
        seconds = times.astype("datetime64[s]").astype(np.int64)
        return {"time": "unixtime"}, {"time": seconds.tolist()}
    is_daily = np.datetime_data(times.dtype)[0] == "D"
    texts = np.datetime_as_string(times, unit="D" if is_daily else "m")
    return {"time": "iso8601"}, {"time": texts.tolist()}


def _formed(query: Query, variable: str, values: Floats) -> tuple[str, object]:
    """Unit string and column of a variable as asked: rounded, whole numbers as such."""
    dimension, decimals = _FORMS[variable]
    unit, factor, shift = dimension, 1.0, 0.0
    if dimension in _CHOICES:
        unit, factor, shift = _UNITS[dimension, query.units[_CHOICES[dimension]]]
    column = np.round(values * factor + shift, decimals) + 0.0
    if decimals:
        return unit, column
    return unit, [None if math.isnan(value) else int(value) for value in column.tolist()]
