"""Open-Meteo's words: what a key of an answer names, and what a request's parameters mean."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import parse_qs, urlsplit

from skyblend.sources.answers import Answers
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
_LONGEST_KEY = 120  # characters; a longer one is unknown

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
class Key:
    """What a key of a block names; `day` is N of `_previous_dayN`."""

    variable: str
    member: str
    model: str
    day: int | None


def meaning(block: str, key: str, models: tuple[str, ...]) -> Key | None:
    """What a key of a block names where these models were asked for; None for what is unknown."""
    return _meaning(block, key, models) if len(key) <= _LONGEST_KEY else None


@lru_cache(4096)
def _meaning(block: str, key: str, models: tuple[str, ...]) -> Key | None:
    match = _KEYS[block].fullmatch(key)
    if match is None:
        return None
    name, day, member, suffix = match.groups()
    if suffix and suffix not in models and not _MODEL.fullmatch(suffix):
        return None
    return Key(_LEGACY.get(name, name), member or "", suffix or "", int(day) if day else None)
