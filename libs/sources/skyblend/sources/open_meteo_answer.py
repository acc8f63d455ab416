"""Reading Open-Meteo's answers.

Which endpoint answered: what the payload says, else the URL, else the body. `..._previous_dayN` keys are previous runs; a body
whose last time is more than a day before it was received is an archive's (a forecast always reaches into the future).
An archive is analysis, kept as observations. Of previous runs the newest run (no suffix) is left out, as its issue time is unknown.
Each place of a list stands for itself: where one is bad it is refused and the others go on; where all are bad the payload is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.answers import Answers, kind
from skyblend.sources.contract import (
    BadPayload,
    Decoded,
    Payload,
    Periods,
    Refusal,
    Times,
    UnknownField,
)
from skyblend.sources.series import Column, Position, Series, forecasts, observations
from skyblend.sources.times import (
    DAY,
    Instants,
    epochs,
    instant,
    local_days,
    local_to_utc,
    wall_times,
)
from skyblend.weather.units import convert, is_convertible
from skyblend.weather.variables import BY_NAME

NAME = "open_meteo"
PUBLICATION_DELAY = timedelta(hours=6)

_read = Answers(NAME)
_DELAY = np.timedelta64(PUBLICATION_DELAY)

# The names before October 2023 are still answered as asked.
_LEGACY = {
    "windspeed_10m": "wind_speed_10m",
    "windgusts_10m": "wind_gusts_10m",
    "winddirection_10m": "wind_direction_10m",
    "relativehumidity_2m": "relative_humidity_2m",
    "dewpoint_2m": "dew_point_2m",
    "weathercode": "weather_code",
    "cloudcover": "cloud_cover",
}
_DAILY = ("temperature_2m_max", "temperature_2m_min", "precipitation_sum")
_HOURLY = tuple(name for name in BY_NAME if name not in _DAILY)


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    longest_first = "|".join(sorted(names, key=len, reverse=True))
    return re.compile(
        rf"({longest_first})(?:_previous_day([0-7]))?(?:_member(\d\d))?(?:_([a-z][a-z0-9_]*))?"
    )


_KEYS = {"hourly": _pattern((*_HOURLY, *_LEGACY)), "daily": _pattern(_DAILY)}
# A suffix is a model where it was asked for or begins as a weather service's or a model's name does; `_low`, `_mean` are neither.
_MODEL = re.compile(
    r"(?:archive_)?(?:best_match|ecmwf|ncep|gfs|gefs|hrrr|nbm|nam_|dwd|icon|cmc|gem|jma|kma|meteofrance|arpege|arome|ukmo|metno"
    r"|knmi|dmi|meteoswiss|geosphere|chmi|cma|italia_meteo|bom|era5|cerra)(?:_?[a-z0-9_]+)?"
)
# Blocks and facts of an answer that carry no record.
_KNOWN = {
    "latitude", "longitude", "elevation", "generationtime_ms", "utc_offset_seconds", "timezone", "timezone_abbreviation",
    "location_id", "hourly", "hourly_units", "daily", "daily_units", "current", "current_units", "current_weather",
    "current_weather_units", "minutely_15", "minutely_15_units",
}  # fmt: skip

# Which unit an asked parameter gives; the first choice is the provider's default.
_WIND = {"kmh": "km/h", "ms": "m/s", "mph": "mp/h", "kn": "kn"}
_UNIT_ASKED = {
    "temperature_2m": ("temperature_unit", {"celsius": "°C", "fahrenheit": "°F"}),
    "wind_speed_10m": ("wind_speed_unit", _WIND),
    "wind_gusts_10m": ("wind_speed_unit", _WIND),
    "precipitation": ("precipitation_unit", {"mm": "mm", "inch": "inch"}),
    "snowfall": ("precipitation_unit", {"mm": "cm", "inch": "inch"}),
    "visibility": ("precipitation_unit", {"mm": "m", "inch": "ft"}),
}
_UNIT_ASKED |= {
    name: _UNIT_ASKED["temperature_2m"]
    for name in ("dew_point_2m", "temperature_2m_max", "temperature_2m_min")
} | {"precipitation_sum": _UNIT_ASKED["precipitation"]}
_UNIT_FIXED = {"%": "%", "hPa": "hPa", "deg": "°", "W/m2": "W/m²", "wmo": "wmo code"}

_ENDPOINT_OF_HOST = (
    ("previous-runs", "previous_runs"),
    ("archive-api", "archive"),
    ("historical-forecast", "archive"),
    ("single-runs", "single_run"),
)
_FARTHEST = 2.0  # degrees between the place asked for and the grid cell that answered


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the URL says was asked; empty where no URL is known."""

    params: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    endpoint: str = ""
    known: bool = False

    @classmethod
    def read(cls, url: str) -> "_Asked":
        if not url:
            return cls()
        parts = urlsplit(url)
        params = {key: ",".join(values) for key, values in parse_qs(parts.query).items()}
        if "windspeed_unit" in params:
            params.setdefault("wind_speed_unit", params["windspeed_unit"])
        models = tuple(name for name in params.get("models", "").split(",") if name)
        hosts = (endpoint for part, endpoint in _ENDPOINT_OF_HOST if part in parts.netloc)
        by_path = "archive" if parts.path.endswith("/archive") else "forecast"
        return cls(params, models, next(hosts, by_path), True)

    def unit(self, variable: str) -> str:
        """The provider's unit of a variable under these parameters."""
        if variable not in _UNIT_ASKED:
            return _UNIT_FIXED[BY_NAME[variable].unit]
        parameter, choices = _UNIT_ASKED[variable]
        return choices.get(self.params.get(parameter, ""), next(iter(choices.values())))


@dataclass(frozen=True, slots=True)
class _Key:
    variable: str
    member: str
    model: str
    day: int | None  # of previous runs


@dataclass(frozen=True, slots=True)
class _Axis:
    """The times of a block: ends of the periods where it is daily, NaT where the local clock leaves a time unknown."""

    valid_at: Instants
    period: int | NDArray[np.int32]  # of a day; 0 for hours, where each variable has its own


@dataclass(frozen=True, slots=True)
class _Run:
    """The columns of one model's run at one place and of one period; `day` is that of previous runs."""

    place: Position
    model: str
    member: str
    day: int | None
    valid_at: Instants
    period: Periods
    values: dict[str, Column]


@dataclass(slots=True)
class _Reader:
    """Reads the answers of one payload; keeps what they share: the times already read and the fields nobody knows."""

    asked: _Asked
    axes: dict[tuple[str, str], tuple[Sequence[object], _Axis]] = field(default_factory=dict)
    keys: dict[tuple[str, str], _Key | None] = field(default_factory=dict)
    unknown: dict[str, None] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)

    def runs(self, answer: Mapping[str, object], place: Position, where: str) -> Iterator[_Run]:
        """All runs at one place. Raises BadPayload."""
        for name in answer.keys() - _KNOWN:
            self.unknown[f"$.{name}"] = None
        if "hourly" not in answer and "daily" not in answer:
            if not any(name in answer for name in ("current", "current_weather", "minutely_15")):
                raise _read.bad(where, "hourly or daily", f"only {', '.join(answer)}")
        for name in ("hourly", "daily"):
            if name in answer:
                yield from self._block(answer, name, place, where)

    def _block(
        self, answer: Mapping[str, object], name: str, place: Position, where: str
    ) -> Iterator[_Run]:
        path = f"{where}.{name}"
        block = _read.mapping(answer[name], path)
        units = _read.mapping(answer.get(f"{name}_units"), f"{path}_units")
        axis = self._axis(answer, name, block.get("time"), units, path)
        groups: dict[tuple[str, str, int | None, int], dict[str, Column]] = {}
        for key, values in block.items():
            meaning = self._meaning(name, key)
            if meaning is None:
                continue
            model = self._model(meaning.model, f"{path}.{key}")
            column = self._column(meaning.variable, key, values, units, path, axis)
            if column is not None:
                period = BY_NAME[meaning.variable].default_period
                group = groups.setdefault((model, meaning.member, meaning.day, period), {})
                group.setdefault(meaning.variable, column)
        for (model, member, day, period), columns in groups.items():
            length = period if name == "hourly" else axis.period
            yield _known_times(_Run(place, model, member, day, axis.valid_at, length, columns))

    def _meaning(self, block: str, key: str) -> _Key | None:
        """What a key names; None for `time` and, noted once, for what is unknown."""
        if (block, key) not in self.keys:
            meaning = _meaning(block, key, self.asked.models)
            if meaning is None and key != "time":
                self.unknown[f"$.{block}.{key}"] = None
            self.keys[block, key] = meaning
        return self.keys[block, key]

    def _model(self, suffix: str, where: str) -> str:
        if suffix:
            return suffix
        if len(self.asked.models) > 1:
            expected = f"a key that names which of {', '.join(self.asked.models)} answered"
            raise _read.bad(where, expected, "no model's name")
        return self.asked.models[0] if self.asked.models else ""

    def _column(
        self,
        variable: str,
        key: str,
        values: object,
        units: Mapping[str, object],
        path: str,
        axis: _Axis,
    ) -> Column | None:
        """A variable in its canonical unit; None where every value is missing."""
        column = _read.column(values, f"{path}.{key}", len(axis.valid_at))
        unit = self._unit(variable, units.get(key), f"{path}_units.{key}")
        if np.isnan(column).all():
            return None
        return convert(column, unit, BY_NAME[variable].unit)

    def _unit(self, variable: str, unit: object, where: str) -> str:
        if self.asked.known:
            expected = self.asked.unit(variable)
            if unit != expected:
                raise _read.bad(where, expected, kind(unit))
            return expected
        canonical = BY_NAME[variable].unit
        if not isinstance(unit, str) or not is_convertible(unit, canonical):
            raise _read.bad(where, f"a unit that converts to {canonical}", kind(unit))
        return unit

    def _axis(
        self,
        answer: Mapping[str, object],
        name: str,
        times: object,
        units: Mapping[str, object],
        path: str,
    ) -> _Axis:
        """The times of a block, read once where neighbours share them."""
        zone = _read.text(answer.get("timezone", "GMT"), f"{path.rpartition('.')[0]}.timezone")
        items = _read.sequence(times, f"{path}.time")
        known = self.axes.get((name, zone))
        if known is not None and known[0] == items:
            return known[1]
        axis = _axis(items, name, _zone(zone, answer, path), units.get("time"), f"{path}.time")
        self.axes[name, zone] = (items, axis)
        expected = f"an hour that a clock in {zone} shows, and once"
        self.refusals.extend(
            Refusal(f"{path}.time[{index}]", expected, str(items[index]))
            for index in np.flatnonzero(np.isnat(axis.valid_at)).tolist()
        )
        return axis


def _meaning(block: str, key: str, models: Sequence[str]) -> _Key | None:
    match = _KEYS[block].fullmatch(key)
    if match is None:
        return None
    name, day, member, suffix = match.groups()
    if suffix and suffix not in models and not _MODEL.fullmatch(suffix):
        return None
    return _Key(_LEGACY.get(name, name), member or "", suffix or "", int(day) if day else None)


def _zone(name: str, answer: Mapping[str, object], path: str) -> ZoneInfo | None:
    """The zone of an answer; None for GMT. The stated offset is today's only, so it is checked for GMT and used for nothing."""
    where = path.rpartition(".")[0]
    if name in ("GMT", "UTC", "Etc/UTC", "Etc/GMT"):
        offset = answer.get("utc_offset_seconds", 0)
        if offset != 0:
            raise _read.bad(f"{where}.utc_offset_seconds", f"0 in {name}", kind(offset))
        return None
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _read.bad(f"{where}.timezone", "an IANA time zone", repr(name)) from error


def _known_times(run: _Run) -> _Run:
    """A run without the times that the local clock leaves unknown."""
    known = ~np.isnat(run.valid_at)
    if known.all():
        return run
    values = {name: column[known] for name, column in run.values.items()}
    return replace(run, valid_at=run.valid_at[known], values=values)


def _axis(
    items: Sequence[object], name: str, zone: ZoneInfo | None, unit: object, where: str
) -> _Axis:
    moments = _moments(items, name, unit, where)
    is_epoch = unit == "unixtime"
    if not (np.diff(moments) > np.timedelta64(0)).all() and (zone is None or is_epoch):
        raise _unordered(items, moments, where)
    if name == "daily":
        return _days(moments, zone, is_epoch)
    if zone is not None and not is_epoch:
        moments = local_to_utc(moments, zone)
        known = moments[~np.isnat(moments)]
        if not (np.diff(known) > np.timedelta64(0)).all():
            raise _unordered(items, moments, where)
    return _Axis(moments, 0)


def _moments(items: Sequence[object], name: str, unit: object, where: str) -> Instants:
    if unit not in ("iso8601", "unixtime"):
        raise _read.bad(where.replace(".time", "_units.time"), "iso8601 or unixtime", kind(unit))
    expected: type = int if unit == "unixtime" else str
    wrong = next((n for n, item in enumerate(items) if type(item) is not expected), None)
    if wrong is not None:
        raise _read.bad(f"{where}[{wrong}]", f"{unit} time", kind(items[wrong]))
    try:
        if unit == "unixtime":
            return epochs(items)  # type: ignore[arg-type]
        return wall_times(items, dates=name == "daily")  # type: ignore[arg-type]
    except (ValueError, OverflowError) as error:
        raise _read.bad(where, f"{unit} times", str(error)) from error


def _unordered(items: Sequence[object], moments: Instants, where: str) -> BadPayload:
    steps = np.diff(moments) > np.timedelta64(0)
    index = int(np.argmin(steps)) + 1
    return _read.bad(f"{where}[{index}]", f"a time after {items[index - 1]}", str(items[index]))


def _days(starts: Instants, zone: ZoneInfo | None, is_epoch: bool) -> _Axis:
    """Days end at the next midnight of their zone; with summer time a day may have 23 or 25 hours."""
    if zone is None:
        return _Axis(starts + DAY, 86400)
    if is_epoch:
        local = [moment.astimezone(zone) for moment in _aware(starts)]
        starts = np.array([np.datetime64(moment.date(), "us") for moment in local])
    ends, lengths = local_days(starts, zone)
    return _Axis(ends, lengths)


def _aware(moments: Instants) -> list[datetime]:
    utc = ZoneInfo("UTC")
    naive: list[datetime] = moments.astype("datetime64[us]").tolist()
    return [moment.replace(tzinfo=utc) for moment in naive]


def decode(payload: Payload) -> Iterator[Decoded]:
    """The records of one answer, in few and long batches. Raises BadPayload before the first of them."""
    body = _read.json(payload)
    if body is None:
        return
    reader = _Reader(_Asked.read(payload.url))
    runs = _runs(reader, _answers(body, payload), payload)
    yield from (UnknownField(name) for name in reader.unknown)
    yield from reader.refusals
    if runs:
        yield from _records(_endpoint(payload, reader.asked, runs), runs, payload)


def _answers(body: object, payload: Payload) -> list[object]:
    if isinstance(body, dict) and body.get("error"):
        raise _read.bad("$.error", "an answer", f"error: {body.get('reason')}")
    answers = body if isinstance(body, list) else [body]
    if payload.places and len(answers) != len(payload.places):
        raise _read.bad("$", f"{len(payload.places)} places", str(len(answers)))
    if not answers:
        raise _read.bad("$", "at least one place", "an empty array")
    return answers


def _runs(reader: _Reader, answers: Sequence[object], payload: Payload) -> list[_Run]:
    """Every place on its own: one that is bad is refused, and where all are, the payload is."""
    runs: list[_Run] = []
    bad_places = 0
    for index, item in enumerate(answers):
        where = f"$[{index}]" if len(answers) > 1 else "$"
        try:
            answer = _read.mapping(item, where)
            position = _position(answer, index, payload, where)
            runs.extend(list(reader.runs(answer, position, where)))
        except BadPayload as bad:
            bad_places += 1
            if bad_places == len(answers):
                raise
            reader.refusals.append(Refusal(bad.where, bad.expected, bad.got))
    return runs


def _position(answer: Mapping[str, object], index: int, payload: Payload, where: str) -> Position:
    """The grid cell that answered, under the id of the place at this position of the request."""
    latitude = _read.number(answer.get("latitude"), f"{where}.latitude", -90, 90)
    longitude = _read.number(answer.get("longitude"), f"{where}.longitude", -180, 360)
    height = answer.get("elevation")
    elevation = np.nan if height is None else _read.number(height, f"{where}.elevation", -1e3, 1e4)
    if answer.get("location_id", index) != index:
        raise _read.bad(f"{where}.location_id", str(index), kind(answer["location_id"]))
    if not payload.places:
        return Position(f"{latitude:.4f},{longitude:.4f}", latitude, longitude, elevation)
    place = payload.places[index]
    east = abs((longitude - place.longitude + 180) % 360 - 180)
    if place.HasField("latitude") and max(abs(latitude - place.latitude), east) > _FARTHEST:
        expected = f"a grid cell near {place.latitude:.2f},{place.longitude:.2f}"
        raise _read.bad(where, expected, f"{latitude:.2f},{longitude:.2f}")
    return Position(place.id, latitude, longitude, elevation)


def _endpoint(payload: Payload, asked: _Asked, runs: Sequence[_Run]) -> str:
    if payload.endpoint:
        return payload.endpoint
    if any(run.day is not None for run in runs):
        return "previous_runs"
    if asked.endpoint:
        return asked.endpoint
    newest = max(run.valid_at.max() for run in runs if len(run.valid_at))
    return "archive" if newest < instant(payload.received_at) - DAY else "forecast"


def _records(endpoint: str, runs: Sequence[_Run], payload: Payload) -> Iterator[Decoded]:
    received_at = instant(payload.received_at)
    if endpoint == "previous_runs":
        yield from forecasts(NAME, _previous(runs, received_at))
    elif endpoint.startswith("archive"):
        late = endpoint == "archive_backfill" or payload.upload
        yield from observations(NAME, "analysis", _analyses(runs, received_at, late))
    else:
        yield from forecasts(NAME, _live(runs, received_at))


def _live(runs: Sequence[_Run], received_at: np.datetime64) -> Iterator[Series]:
    """Forecasts issued at the hour of receipt; what was over by then is none."""
    issued_at = received_at.astype("datetime64[h]").astype("datetime64[us]")
    for run in runs:
        yield _series(run, run.valid_at >= issued_at, issued_at, received_at)


def _series(run: _Run, kept: NDArray[np.bool_], issued_at: Times, known_at: Times) -> Series:
    period = run.period
    return Series(
        place=run.place,
        model=run.model,
        member=run.member,
        issued_at=issued_at if isinstance(issued_at, np.datetime64) else issued_at[kept],
        valid_at=run.valid_at[kept],
        known_at=known_at if isinstance(known_at, np.datetime64) else known_at[kept],
        period=period if isinstance(period, int) else period[kept],
        values={name: column[kept] for name, column in run.values.items()},
    )


def _previous(runs: Sequence[_Run], received_at: np.datetime64) -> Iterator[Series]:
    """The value of day N was issued N x 24 h before its valid time, and known a publication delay later."""
    for run in runs:
        if not run.day:
            continue
        for series in (run, *_daily_extremes(run)):
            issued_at = series.valid_at - run.day * DAY
            known_at = np.minimum(issued_at + _DELAY, received_at)
            yield _series(series, issued_at <= received_at, issued_at, known_at)


def _daily_extremes(run: _Run) -> Iterator[_Run]:
    """The extremes of the complete UTC days (24 hours, 00 to 23) of a run's temperature, as the provider's daily values are."""
    hours = run.values.get("temperature_2m")
    if hours is None:
        return
    days = run.valid_at.astype("datetime64[D]")
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    full = starts[np.diff(starts, append=len(days)) == 24]
    if not full.size:
        return
    table = hours[full[:, None] + np.arange(24)]
    values = {"temperature_2m_max": table.max(axis=1), "temperature_2m_min": table.min(axis=1)}
    yield replace(run, valid_at=run.valid_at[full] + DAY, period=86400, values=values)


def _analyses(runs: Sequence[_Run], received_at: np.datetime64, late: bool) -> Iterator[Series]:
    """Observations of what is over; `late` ones were known a publication delay after their time, others when received."""
    if len({run.model for run in runs}) > 1:
        names = ", ".join(sorted({run.model for run in runs}))
        raise _read.bad("$", "the analysis of one model", names)
    for run in runs:
        known_at = np.minimum(run.valid_at + _DELAY, received_at) if late else received_at
        yield _series(run, run.valid_at <= received_at, run.valid_at, known_at)
