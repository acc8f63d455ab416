"""Open-Meteo: forecasts of several models, their previous runs, and the archive as observations.

What is asked is explicit: GMT, m/s, every variable and every model by name. Which endpoint answered
is what the payload says, else previous runs where keys end in `_previous_dayN`, else what the URL
says, else a forecast, which always reaches into the future: a body whose last time is more than a
day before its receipt is an archive's. An archive is an analysis and kept as observations of that
kind.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.contract import (
    Attribution,
    Decoded,
    Payload,
    Request,
    Schedule,
    Times,
    UnknownField,
)
from skyblend.sources.open_meteo_answer import NAME, Asked, Reader, Run, read
from skyblend.sources.series import Series, forecasts, observations
from skyblend.sources.times import DAY, instant, wall_times

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

# A global run is public four to six hours after its initialisation.
PUBLICATION_DELAY = timedelta(hours=6)
_DELAY = np.timedelta64(PUBLICATION_DELAY)

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
        """Never: Open-Meteo is fetched."""
        return False

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
            endpoint = _endpoint(payload, reader.asked, runs)
            yield from _records(endpoint, runs, payload, reader.asked)


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


def _endpoint(payload: Payload, asked: Asked, runs: Sequence[Run]) -> str:
    if payload.endpoint:
        return payload.endpoint
    if any(run.day is not None for run in runs):
        return "previous_runs"
    if asked.endpoint:
        return asked.endpoint
    newest = max((run.valid_at.max() for run in runs if len(run.valid_at)), default=None)
    is_past = newest is not None and newest < instant(payload.received_at) - DAY
    return "archive" if is_past else "forecast"


def _records(
    endpoint: str, runs: Sequence[Run], payload: Payload, asked: Asked
) -> Iterator[Decoded]:
    received_at = instant(payload.received_at)
    if endpoint == "previous_runs":
        yield from forecasts(NAME, _previous(runs, received_at))
        return
    newest = [run for run in runs if run.day is None]
    if endpoint.startswith("archive"):
        is_late = endpoint == "archive_backfill" or payload.upload
        yield from observations(NAME, "analysis", _analyses(newest, received_at, is_late))
    elif endpoint == "single_run":
        yield from forecasts(NAME, _single(newest, received_at, asked.params.get("run", "")))
    else:
        yield from forecasts(NAME, _live(newest, received_at))


def _live(runs: Iterable[Run], received_at: np.datetime64) -> Iterator[Series]:
    """Forecasts issued at the hour of receipt; what was over by then is none."""
    issued_at = received_at.astype("datetime64[h]").astype("datetime64[us]")
    for run in runs:
        yield _series(run, run.valid_at >= issued_at, issued_at, received_at)


def _single(runs: Iterable[Run], received_at: np.datetime64, run_time: str) -> Iterator[Series]:
    """The run that the request names; the answer does not repeat it."""
    try:
        issued_at = wall_times([run_time])[0]
    except ValueError as error:
        raise read.bad("the request", "run=YYYY-MM-DDTHH:MM", repr(run_time)) from error
    known_at = min(issued_at + _DELAY, received_at)
    for run in runs:
        yield _series(run, run.valid_at >= issued_at, issued_at, known_at)


def _previous(runs: Sequence[Run], received_at: np.datetime64) -> Iterator[Series]:
    """Day N was issued N x 24 h before its valid time, and known a publication delay later.

    The newest run (no suffix, or day 0) is left out: when it was issued is unknown.
    """
    if not any(run.day is not None for run in runs):
        raise read.bad("$.hourly", "keys with _previous_day1 to _previous_day7", "none")
    for run in runs:
        if not run.day:
            continue
        for one in (run, *_daily_extremes(run)):
            issued_at = one.valid_at - run.day * DAY
            known_at = np.minimum(issued_at + _DELAY, received_at)
            yield _series(one, issued_at <= received_at, issued_at, known_at)


def _daily_extremes(run: Run) -> Iterator[Run]:
    """The extremes of a run's temperature over complete UTC days, hours 00 to 23.

    The provider's own daily values are those extremes.
    """
    hours = run.values.get("temperature_2m")
    if hours is None:
        return
    days = run.valid_at.astype("datetime64[D]")
    starts = np.flatnonzero(np.diff(days, prepend=days[0] - 1))
    complete = starts[np.diff(starts, append=len(days)) == 24]
    if not complete.size:
        return
    table = hours[complete[:, None] + np.arange(24)]
    values = {"temperature_2m_max": table.max(axis=1), "temperature_2m_min": table.min(axis=1)}
    yield replace(run, valid_at=days[complete] + DAY, period=86400, values=values)


def _analyses(runs: Sequence[Run], received_at: np.datetime64, is_late: bool) -> Iterator[Series]:
    """Observations of what is over, known when received; `is_late`: a publication delay later."""
    models = sorted({run.model for run in runs})
    if len(models) > 1:
        raise read.bad("$", "the analysis of one model", ", ".join(models))
    for run in runs:
        known_at = np.minimum(run.valid_at + _DELAY, received_at) if is_late else received_at
        yield _series(run, run.valid_at <= received_at, run.valid_at, known_at)


def _series(run: Run, kept: NDArray[np.bool_], issued_at: Times, known_at: Times) -> Series:
    """The kept rows of a run with their times."""
    period = run.period
    return Series(
        place=run.place,
        model=run.model,
        member=run.member,
        issued_at=issued_at if isinstance(issued_at, np.datetime64) else issued_at[kept],
        valid_at=run.valid_at[kept].astype("datetime64[us]"),
        known_at=known_at if isinstance(known_at, np.datetime64) else known_at[kept],
        period=period if isinstance(period, int) else period[kept],
        values={name: column[kept] for name, column in run.values.items()},
    )


open_meteo = OpenMeteo()
