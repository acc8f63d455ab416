"""Open-Meteo: forecasts of several models, their previous runs, and the archive as observations.

What is asked is explicit: GMT, m/s, every variable and every model by name. Which endpoint answered
is what the payload says, else previous runs where keys end in `_previous_dayN`, else what the URL
or the file's name says, else a forecast, which always reaches into the future: a body of which all
is past and of which nothing else is known is refused, never taken for observations.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.contract import (
    Attribution,
    Decoded,
    Payload,
    Request,
    Schedule,
    UnknownField,
)
from skyblend.sources.open_meteo_answer import Reader
from skyblend.sources.open_meteo_records import PUBLICATION_DELAY, endpoint_of, records_of
from skyblend.sources.open_meteo_terms import NAME, Asked, read

MODELS = (
    "ecmwf_ifs025",
    "ncep_gfs_seamless",
    "dwd_icon_seamless",
    "cmc_gem_seamless",
    "meteofrance_seamless",
    "ukmo_seamless",
)
HOURLY = (
    "temperature_2m",
    "dew_point_2m",
    "relative_humidity_2m",
    "pressure_msl",
    "surface_pressure",
    "wind_speed_10m",
    "wind_gusts_10m",
    "wind_direction_10m",
    "precipitation",
    "precipitation_probability",
    "snowfall",
    "cloud_cover",
    "visibility",
    "shortwave_radiation",
    "weather_code",
)
DAILY = ("temperature_2m_max", "temperature_2m_min", "precipitation_sum")
# The archive has neither visibility nor probability; its gusts are not the largest of the hour.
_NOT_ARCHIVED = ("visibility", "precipitation_probability", "wind_gusts_10m")
ARCHIVED = tuple(name for name in HOURLY if name not in _NOT_ARCHIVED)
PREVIOUS = tuple(f"temperature_2m_previous_day{day}" for day in range(1, 8))

_OBJECT = re.compile(rb'(?:\xef\xbb\xbf)?\s*(?:\[\s*)?\{\s*"')
_ANSWER_KEYS = (b'"generationtime_ms"', b'"hourly', b'"daily')
_FAILED = re.compile(rb'"error"\s*:\s*true')

FORECAST_DAYS = 10
RECENT_DAYS = 3  # asked again every few hours, so that a late or corrected hour is seen
BACKFILL_DAYS = 90
MOST_BACKFILL_DAYS = 92

_URLS = {
    "forecast": ("forecast_url", "https://api.open-meteo.com/v1/forecast"),
    "previous_runs": ("previous_runs_url", "https://previous-runs-api.open-meteo.com/v1/forecast"),
    "archive": ("archive_url", "https://archive-api.open-meteo.com/v1/archive"),
    "archive_backfill": ("archive_url", "https://archive-api.open-meteo.com/v1/archive"),
}
_ATTRIBUTION = Attribution(
    licence="CC BY 4.0",
    text="Weather data by Open-Meteo.com",
    url="https://open-meteo.com/",
    commercial=False,
)


@dataclass(frozen=True, slots=True)
class OpenMeteo:
    """The source of fetched forecasts and analyses.

    Options: `models` (comma list), `apikey`, `backfill_days` (1 to 92), and the base URLs
    `forecast_url`, `previous_runs_url`, `archive_url`.
    """

    name: str = NAME
    publication_delay: timedelta = PUBLICATION_DELAY
    schedules: tuple[Schedule, ...] = (
        Schedule(endpoint="forecast", every=timedelta(hours=1), batch=50),
        Schedule(endpoint="previous_runs", every=None, batch=1),
        Schedule(endpoint="archive_backfill", every=None, batch=1),
        Schedule(endpoint="archive", every=timedelta(hours=6), batch=50),
    )
    attribution: Attribution = _ATTRIBUTION

    def requests(
        self, endpoint: str, places: Sequence[Place], *, slot: datetime, options: Mapping[str, str]
    ) -> Iterator[Request]:
        """The calls for all places that have a position, in batches of the endpoint's schedule."""
        batch = {plan.endpoint: plan.batch for plan in self.schedules}[endpoint]
        located = [p for p in places if p.HasField("latitude") and p.HasField("longitude")]
        for start in range(0, len(located), batch):
            yield _request(endpoint, located[start : start + batch], slot, options)

    def recognises(self, name: str, head: bytes) -> bool:
        """A JSON answer, its keys in any order, with a position, and a time axis or the time that
        its making took, or with an error; a saved one is issued when it is uploaded."""
        if not _OBJECT.match(head):
            return False
        is_answer = b'"latitude"' in head and any(key in head for key in _ANSWER_KEYS)
        return is_answer or bool(_FAILED.search(head))

    def decode(self, payload: Payload) -> Iterator[Decoded]:
        """The records of an answer, in few and long batches. Raises BadPayload before the first."""
        body = read.json(payload)
        if body is None:
            return
        reader = Reader(Asked.read(payload.url))
        runs = reader.runs(body, payload)
        yield from (UnknownField(name) for name in reader.unknown)
        yield from reader.refusals
        if runs:
            endpoint = endpoint_of(payload, reader.asked, runs)
            yield from records_of(endpoint, runs, payload, reader.asked)


def _request(
    endpoint: str, places: Sequence[Place], slot: datetime, options: Mapping[str, str]
) -> Request:
    option, default = _URLS[endpoint]
    params = _positions(places) | {"timezone": "GMT", "wind_speed_unit": "ms"}
    asked = _asked(endpoint, slot, options)
    if options.get("apikey"):
        asked["apikey"] = options["apikey"]
    return Request(
        endpoint=endpoint,
        url=options.get(option) or default,
        params=params | asked,
        places=tuple(places),
        secrets=frozenset({"apikey"}),
        weight=weight(len(places), asked, _days(endpoint, options)),
    )


def _positions(places: Sequence[Place]) -> dict[str, str]:
    positions = {
        "latitude": ",".join(f"{place.latitude:.4f}" for place in places),
        "longitude": ",".join(f"{place.longitude:.4f}" for place in places),
    }
    if all(place.HasField("elevation") for place in places):
        positions["elevation"] = ",".join(f"{place.elevation:.0f}" for place in places)
    return positions


def _asked(endpoint: str, slot: datetime, options: Mapping[str, str]) -> dict[str, str]:
    models = options.get("models") or ",".join(MODELS)
    if endpoint == "forecast":
        return _variables(HOURLY, DAILY) | {"models": models, "forecast_days": str(FORECAST_DAYS)}
    if endpoint == "previous_runs":
        days = str(backfill_days(options))
        past = {"models": models, "past_days": days, "forecast_days": "1"}
        return {"hourly": ",".join(PREVIOUS)} | past
    days_back = RECENT_DAYS if endpoint == "archive" else backfill_days(options)
    dates = {
        "start_date": (slot - timedelta(days=days_back)).date().isoformat(),
        "end_date": slot.date().isoformat(),
    }
    return _variables(ARCHIVED, DAILY) | {"models": "best_match"} | dates


def _variables(hourly: Sequence[str], daily: Sequence[str]) -> dict[str, str]:
    return {"hourly": ",".join(hourly), "daily": ",".join(daily)}


def backfill_days(options: Mapping[str, str]) -> int:
    """Days of the back-fill, 1 to 92. Raises ValueError for an option that is none."""
    text = options.get("backfill_days") or str(BACKFILL_DAYS)
    if not text.isdecimal() or not 1 <= int(text) <= MOST_BACKFILL_DAYS:
        raise ValueError(f"backfill_days must be 1 to {MOST_BACKFILL_DAYS}, got {text!r}")
    return int(text)


def _days(endpoint: str, options: Mapping[str, str]) -> int:
    if endpoint in ("previous_runs", "archive_backfill"):
        return backfill_days(options) + 1
    return FORECAST_DAYS if endpoint == "forecast" else RECENT_DAYS + 1


def weight(places: int, asked: Mapping[str, str], days: int) -> float:
    """Calls that a request counts as, by the provider's rule.

    places x max(1, n / 10, days / 14 x n / 10) with n = variables x models.
    """
    names = [name for key in ("hourly", "daily") for name in asked.get(key, "").split(",") if name]
    models = max(1, len([name for name in asked.get("models", "").split(",") if name]))
    tenths = len(names) * models / 10
    return places * max(1.0, tenths, days / 14 * tenths)


open_meteo = OpenMeteo()
