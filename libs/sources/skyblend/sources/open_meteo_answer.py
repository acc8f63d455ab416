"""Reading Open-Meteo's answers as runs: one model, one place and one period each.

Variables are recognised by the names that we know, models by the suffix in the answer and never by
the request. Each place of a list stands for itself: where one is bad it is refused and the others
go on; where all are bad the payload is.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from urllib.parse import parse_qs, urlsplit

import numpy as np
from skyblend.sources import axes
from skyblend.sources.answers import Answers, kind
from skyblend.sources.axes import Axis
from skyblend.sources.contract import BadPayload, Payload, Periods, Refusal
from skyblend.sources.series import Column, Position
from skyblend.sources.times import Instants
from skyblend.weather.units import convert, is_convertible
from skyblend.weather.variables import BY_NAME

NAME = "open_meteo"
read = Answers(NAME)

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
_HOURLY = (*(name for name in BY_NAME if name not in _DAILY), *_LEGACY)


def _pattern(names: Iterable[str]) -> re.Pattern[str]:
    longest_first = "|".join(sorted(names, key=len, reverse=True))
    return re.compile(
        rf"({longest_first})(?:_previous_day([0-7]))?(?:_member(\d\d))?(?:_([a-z][a-z0-9_]*))?"
    )


_KEYS = {"hourly": _pattern(_HOURLY), "daily": _pattern(_DAILY)}
# A suffix is a model where it was asked for, or begins as a service's or a model's name does;
# `_low` of a cloud cover and `_mean` of a day do neither.
_MODEL = re.compile(
    r"(?:archive_)?(?:best_match|ecmwf|ncep|gfs|gefs|hrrr|nbm|nam_|dwd|icon|cmc|gem|jma|kma"
    r"|meteofrance|arpege|arome|ukmo|metno|knmi|dmi|meteoswiss|geosphere|chmi|cma|italia_meteo"
    r"|bom|era5|cerra)(?:_?[a-z0-9_]+)?"
)
# Blocks and facts of an answer; some carry no record and are passed over.
_UNUSED = ("current", "current_weather", "minutely_15")
_KNOWN = {
    *("latitude", "longitude", "elevation", "generationtime_ms", "location_id"),
    *("utc_offset_seconds", "timezone", "timezone_abbreviation"),
    *(f"{name}{tail}" for name in ("hourly", "daily", *_UNUSED) for tail in ("", "_units")),
}

# Which unit an asked parameter gives; the first choice is the provider's default.
_TEMPERATURE = ("temperature_unit", {"celsius": "°C", "fahrenheit": "°F"})
_WIND = ("wind_speed_unit", {"kmh": "km/h", "ms": "m/s", "mph": "mp/h", "kn": "kn"})
_WATER = ("precipitation_unit", {"mm": "mm", "inch": "inch"})
_UNIT_ASKED = {
    "temperature_2m": _TEMPERATURE,
    "temperature_2m_max": _TEMPERATURE,
    "temperature_2m_min": _TEMPERATURE,
    "dew_point_2m": _TEMPERATURE,
    "wind_speed_10m": _WIND,
    "wind_gusts_10m": _WIND,
    "precipitation": _WATER,
    "precipitation_sum": _WATER,
    "snowfall": ("precipitation_unit", {"mm": "cm", "inch": "inch"}),
    "visibility": ("precipitation_unit", {"mm": "m", "inch": "ft"}),
}
_UNIT_FIXED = {"%": "%", "hPa": "hPa", "deg": "°", "W/m2": "W/m²", "wmo": "wmo code"}

_ENDPOINT_OF_HOST = (
    ("previous-runs", "previous_runs"),
    ("archive-api", "archive"),
    ("historical-forecast", "archive"),
    ("single-runs", "single_run"),
)
_FARTHEST = 2.0  # degrees between the place asked for and the grid cell that answered


@dataclass(frozen=True, slots=True)
class Asked:
    """What the URL says was asked; not `known` where there is none."""

    params: Mapping[str, str] = field(default_factory=dict)
    models: tuple[str, ...] = ()
    endpoint: str = ""
    known: bool = False

    @classmethod
    def read(cls, url: str) -> "Asked":
        """The parameters, whether repeated or in comma lists, and the endpoint by host and path.

        Raises BadPayload for what is no URL.
        """
        if not url:
            return cls()
        try:
            parts = urlsplit(url)
            query = parse_qs(parts.query)
        except ValueError as error:
            raise read.bad("the request", "a URL", str(error)) from error
        params = {key: ",".join(values) for key, values in query.items()}
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
    day: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """The columns of one model's run at one place and of one period, in canonical units.

    `day` is N of `_previous_dayN`; None where the newest run, or the only one, answered.
    """

    place: Position
    model: str
    member: str
    day: int | None
    valid_at: Instants
    period: Periods
    values: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class _Block:
    """The hourly or daily block of one place."""

    name: str
    path: str
    columns: Mapping[str, object]
    units: Mapping[str, object]
    axis: Axis


@dataclass(slots=True)
class Reader:
    """Reads the answers of one payload: what was asked, and what is noted on the way."""

    asked: Asked
    unknown: dict[str, None] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    _axes: dict[tuple[str, str], tuple[Sequence[object], Axis]] = field(default_factory=dict)
    _keys: dict[tuple[str, str], _Key | None] = field(default_factory=dict)

    def runs(self, body: object, payload: Payload) -> list[Run]:
        """All runs of all places that are good. Raises BadPayload where none is."""
        answers = _answers(body, payload)
        runs: list[Run] = []
        refused: list[Refusal] = []
        for index, item in enumerate(answers):
            where = f"$[{index}]" if len(answers) > 1 else "$"
            try:
                answer = read.mapping(item, where)
                runs.extend(
                    list(self._place(answer, _position(answer, index, payload, where), where))
                )
            except BadPayload as bad:
                refused.append(Refusal(bad.where, bad.expected, bad.got))
                if len(refused) == len(answers):
                    raise
        self.refusals.extend(refused)
        return runs

    def _place(self, answer: Mapping[str, object], place: Position, where: str) -> Iterator[Run]:
        for name in answer:
            if name not in _KNOWN:
                self.unknown[f"$.{name}"] = None
        present = [name for name in ("hourly", "daily") if name in answer]
        if not present and answer.keys().isdisjoint(_UNUSED):
            raise read.bad(where, "hourly or daily", f"only {', '.join(answer) or 'nothing'}")
        for name in present:
            block = self._block(answer, name, where)
            yield from (_clear(run) for run in self._runs_of(block, place))

    def _block(self, answer: Mapping[str, object], name: str, where: str) -> _Block:
        path = f"{where}.{name}"
        columns = read.mapping(answer[name], path)
        units = read.mapping(answer.get(f"{name}_units"), f"{path}_units")
        zone = read.text(answer.get("timezone", "GMT"), f"{where}.timezone")
        items = read.sequence(columns.get("time"), f"{path}.time")
        known = self._axes.get((name, zone))
        if known is not None and known[0] == items:
            return _Block(name, path, columns, units, known[1])
        local = axes.zone(read, zone, answer.get("utc_offset_seconds", 0), where)
        build = axes.hours if name == "hourly" else axes.days
        axis = build(read, items, units.get("time"), f"{path}.time", local=local)
        self._note_unclear(items, axis, path, zone)
        self._axes[name, zone] = (items, axis)
        return _Block(name, path, columns, units, axis)

    def _note_unclear(self, items: Sequence[object], axis: Axis, path: str, zone: str) -> None:
        expected = f"an hour that a clock in {zone} shows, and once"
        for index in np.flatnonzero(np.isnat(axis.valid_at)).tolist():
            self.refusals.append(Refusal(f"{path}.time[{index}]", expected, str(items[index])))

    def _runs_of(self, block: _Block, place: Position) -> Iterator[Run]:
        groups: dict[tuple[str, str, int | None, int], dict[str, Column]] = {}
        for key in block.columns:
            meaning = self._meaning(block.name, key)
            if meaning is None:
                continue
            model = self._model(meaning.model, f"{block.path}.{key}")
            column = self._column(block, key, meaning.variable)
            if column is not None:
                period = BY_NAME[meaning.variable].default_period
                group = groups.setdefault((model, meaning.member, meaning.day, period), {})
                group.setdefault(meaning.variable, column)
        for (model, member, day, period), columns in groups.items():
            length = period if block.name == "hourly" else block.axis.period
            yield Run(place, model, member, day, block.axis.valid_at, length, columns)

    def _meaning(self, block: str, key: str) -> _Key | None:
        """What a key names; None for `time` and for what is unknown, which is noted."""
        if (block, key) not in self._keys:
            meaning = _meaning(block, key, self.asked.models)
            if meaning is None and key != "time":
                self.unknown[f"$.{block}.{key}"] = None
            self._keys[block, key] = meaning
        return self._keys[block, key]

    def _model(self, suffix: str, where: str) -> str:
        """The model that answered. With several asked and no suffix nobody can tell."""
        if suffix:
            return suffix
        if len(self.asked.models) > 1:
            expected = f"a suffix that tells which of {', '.join(self.asked.models)} answered"
            raise read.bad(where, expected, "none")
        return self.asked.models[0] if self.asked.models else ""

    def _column(self, block: _Block, key: str, variable: str) -> Column | None:
        """A variable in its canonical unit; None where every value is missing."""
        length = len(block.axis.valid_at)
        column = read.column(block.columns[key], f"{block.path}.{key}", length)
        unit = self._unit(variable, block.units.get(key), f"{block.path}_units.{key}")
        if np.isnan(column).all():
            return None
        return convert(column, unit, BY_NAME[variable].unit)

    def _unit(self, variable: str, unit: object, where: str) -> str:
        """The unit, checked: the one that was asked for, else any that converts."""
        canonical = BY_NAME[variable].unit
        if self.asked.known and unit != self.asked.unit(variable):
            raise read.bad(where, self.asked.unit(variable), kind(unit))
        if not isinstance(unit, str) or not is_convertible(unit, canonical):
            raise read.bad(where, f"a unit that converts to {canonical}", kind(unit))
        return unit


def _meaning(block: str, key: str, models: Sequence[str]) -> _Key | None:
    match = _KEYS[block].fullmatch(key)
    if match is None:
        return None
    name, day, member, suffix = match.groups()
    if suffix and suffix not in models and not _MODEL.fullmatch(suffix):
        return None
    return _Key(_LEGACY.get(name, name), member or "", suffix or "", int(day) if day else None)


def _clear(run: Run) -> Run:
    """A run without the times that the local clock leaves unknown."""
    known = ~np.isnat(run.valid_at)
    if known.all():
        return run
    values = {name: column[known] for name, column in run.values.items()}
    return replace(run, valid_at=run.valid_at[known], values=values)


def _answers(body: object, payload: Payload) -> list[object]:
    if isinstance(body, dict) and body.get("error"):
        raise read.bad("$.error", "an answer", f"error: {body.get('reason')}")
    answers = body if isinstance(body, list) else [body]
    if payload.places and len(answers) != len(payload.places):
        raise read.bad("$", f"{len(payload.places)} places", str(len(answers)))
    if not answers:
        raise read.bad("$", "at least one place", "an empty array")
    return answers


def _position(answer: Mapping[str, object], index: int, payload: Payload, where: str) -> Position:
    """The grid cell that answered, under the id of the place at this position of the request."""
    latitude = read.number(answer.get("latitude"), f"{where}.latitude", -90, 90)
    longitude = read.number(answer.get("longitude"), f"{where}.longitude", -180, 360)
    height = answer.get("elevation")
    elevation = np.nan if height is None else read.number(height, f"{where}.elevation", -1e3, 1e4)
    if answer.get("location_id", index) != index:
        raise read.bad(f"{where}.location_id", str(index), kind(answer["location_id"]))
    if not payload.places:
        return Position(f"{latitude:.4f},{longitude:.4f}", latitude, longitude, elevation)
    place = payload.places[index]
    east = abs((longitude - place.longitude + 180) % 360 - 180)
    if place.HasField("latitude") and max(abs(latitude - place.latitude), east) > _FARTHEST:
        expected = f"a grid cell near {place.latitude:.2f},{place.longitude:.2f}"
        raise read.bad(where, expected, f"{latitude:.2f},{longitude:.2f}")
    return Position(place.id, latitude, longitude, elevation)
