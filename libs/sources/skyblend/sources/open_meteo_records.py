"""What Open-Meteo's runs are as records: when each was issued and known, by endpoint.

An archive is an analysis and kept as observations of that kind.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.contract import Decoded, Payload, Times
from skyblend.sources.open_meteo_answer import Run
from skyblend.sources.open_meteo_terms import NAME, Asked, read
from skyblend.sources.series import Series, forecasts, observations
from skyblend.sources.times import DAY, instant, wall_times

# A global run is public four to six hours after its initialisation.
PUBLICATION_DELAY = timedelta(hours=6)
_DELAY = np.timedelta64(PUBLICATION_DELAY)
_ARCHIVE_WORDS = ("archive", "historical")  # in the name of a file of which nothing else is known


def endpoint_of(payload: Payload, asked: Asked, runs: Sequence[Run]) -> str:
    """Which endpoint answered: what the payload says, else what the keys say, else the URL, else
    the file's name; else a forecast.

    A forecast of which all is past cannot be told from an archive by its body, and one taken for
    the other would become truth: raises BadPayload.
    """
    if payload.endpoint:
        return payload.endpoint
    if any(run.day is not None for run in runs):
        return "previous_runs"
    if asked.known and asked.endpoint != "forecast":
        return asked.endpoint
    if not asked.known and _is_named_archive(payload.name):
        return "archive"
    newest = max((run.valid_at.max() for run in runs if len(run.valid_at)), default=None)
    if newest is not None and newest < _hour(instant(payload.received_at)):
        raise read.bad(
            "the times",
            f"some after the receipt ({payload.received_at:%Y-%m-%dT%H:%MZ}): say when it was "
            "received, or that it is of the archive (its url, or 'archive' in the file's name)",
            f"{np.datetime_as_string(newest, unit='m')}Z as the last",
        )
    return "forecast"


def _is_named_archive(name: str) -> bool:
    """By the name of the file itself: a folder called archive may hold saved forecasts."""
    own = re.split(r"[/\\]", name)[-1].lower()
    return any(word in own for word in _ARCHIVE_WORDS)


def records_of(
    endpoint: str, runs: Sequence[Run], payload: Payload, asked: Asked
) -> Iterator[Decoded]:
    """The runs that an endpoint answered as forecasts, or as observations from an archive."""
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


def _hour(time: np.datetime64) -> np.datetime64:
    hour: np.datetime64 = time.astype("datetime64[h]").astype("datetime64[us]")
    return hour


def _live(runs: Iterable[Run], received_at: np.datetime64) -> Iterator[Series]:
    """Forecasts issued at the hour of receipt; what was over by then is none."""
    issued_at = _hour(received_at)
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
    if not kept.all():
        values = {name: column[kept] for name, column in run.values.items()}
        period = run.period if isinstance(run.period, int) else run.period[kept]
        run = replace(run, valid_at=run.valid_at[kept], period=period, values=values)
        issued_at = _kept(issued_at, kept)
        known_at = _kept(known_at, kept)
    return Series(
        place=run.place,
        model=run.model,
        member=run.member,
        issued_at=issued_at,
        valid_at=run.valid_at.astype("datetime64[us]", copy=False),
        known_at=known_at,
        period=run.period,
        values=run.values,
    )


def _kept(times: Times, kept: NDArray[np.bool_]) -> Times:
    return times if isinstance(times, np.datetime64) else times[kept]
