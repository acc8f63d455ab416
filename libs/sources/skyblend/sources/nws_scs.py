"""The NWS "Selected Cities" bulletin (FPUS20 KWBN): highs and lows of 164 US cities.

Each has the observed pair and the forecasts of two days; a place is a city as printed.
"""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.contract import (
    Attribution,
    Decoded,
    Forecasts,
    Labels,
    Observations,
    Payload,
)
from skyblend.sources.nws_bulletin import NAME, Bulletin, bad, parse, text_of
from skyblend.sources.times import DAY, Instants, instant
from skyblend.sources.uploaded import Uploaded
from skyblend.weather.units import convert

_HALF_DAY, _FULL_DAY = 43200, 86400
_ATTRIBUTION = Attribution(
    licence="US public domain",
    text="US National Weather Service",
    url="https://www.weather.gov/disclaimer",
    commercial=True,
)


def _recognises(name: str, head: bytes) -> bool:
    """Whether the WMO heading stands within the first lines."""
    return b"FPUS20 KWBN" in head[:256] or (
        b"SELECTED CITIES WEATHER SUMMARY" in head[:1024] and b"KWBN" in head[:1024]
    )


def _decode(payload: Payload) -> Iterator[Decoded]:
    """Forecasts and observations of one bulletin, known at its WMO time."""
    bulletin = parse(text_of(payload))
    if bulletin.issued_at > payload.received_at + timedelta(minutes=10):
        raise bad("line 1", "a WMO time that is past", bulletin.issued_at.isoformat())
    cities = _Cities([row[0] for row in bulletin.rows])
    yield _forecasts(bulletin, cities)
    yield _observations(bulletin, cities)


class _Cities:
    """The cities of a bulletin as labels, taken once for each column of values."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        self.count = len(names)

    def repeated(self, kept: NDArray[np.bool_]) -> Labels:
        """Labels for whole columns of cities stacked on one another, only the rows `kept`."""
        codes = np.tile(np.arange(self.count, dtype=np.int32), kept.size // self.count)
        return Labels(self.names, codes[kept])


def _fahrenheit(printed: str) -> float:
    """A printed temperature; `B` on either side means below zero, `MM` missing."""
    if printed == "MM":
        return np.nan
    return -float(printed.strip("B")) if "B" in printed else float(printed)


def _column(bulletin: Bulletin, index: int) -> NDArray[np.float64]:
    printed = np.array([_fahrenheit(row[index]) for row in bulletin.rows])
    return convert(printed, "degF", "degC")


def _pair(
    bulletin: Bulletin, first: int, day: date
) -> tuple[NDArray[np.float64], NDArray[np.float64], np.datetime64, np.datetime64]:
    """High, low and their valid times.

    A high of date D ends at D+1 00Z; the low of the night that follows (high first) at D+1 12Z, of
    the night before at D 12Z.
    """
    one, two = _column(bulletin, first), _column(bulletin, first + 1)
    midnight = np.datetime64(day, "us") + DAY
    half = np.timedelta64(_HALF_DAY, "s")
    if bulletin.high_first:
        return one, two, midnight, midnight + half
    return two, one, midnight, midnight - half


def _extremes(
    bulletin: Bulletin, pairs: Sequence[tuple[int, date]]
) -> tuple[Instants, NDArray[np.float64], NDArray[np.float64]]:
    """Valid times, highs and lows, pair after pair: all cities' highs, then all cities' lows."""
    count = len(bulletin.rows)
    blank = np.full(count, np.nan)
    valid_at, highs, lows = [], [], []
    for first, day in pairs:
        high, low, high_at, low_at = _pair(bulletin, first, day)
        valid_at += [np.full(count, high_at), np.full(count, low_at)]
        highs += [high, blank]
        lows += [blank, low]
    return np.concatenate(valid_at), np.concatenate(highs), np.concatenate(lows)


def _forecasts(bulletin: Bulletin, cities: _Cities) -> Forecasts:
    pairs = [(4, bulletin.dates[1]), (6, bulletin.dates[2])]
    valid_at, highs, lows = _extremes(bulletin, pairs)
    kept = ~(np.isnan(highs) & np.isnan(lows))
    issued_at = instant(bulletin.issued_at)
    return Forecasts(
        source=NAME,
        place_id=cities.repeated(kept),
        issued_at=issued_at,
        valid_at=valid_at[kept],
        period=_HALF_DAY,
        known_at=issued_at,
        values={"temperature_2m_max": highs[kept], "temperature_2m_min": lows[kept]},
    )


def _observations(bulletin: Bulletin, cities: _Cities) -> Observations:
    valid_at, highs, lows = _extremes(bulletin, [(1, bulletin.dates[0])])
    count, blank = cities.count, np.full(cities.count, np.nan)
    rain, rain_at = _precipitation(bulletin)
    highs, lows = np.concatenate([highs, blank]), np.concatenate([lows, blank])
    rain = np.concatenate([blank, blank, rain])
    kept = ~(np.isnan(highs) & np.isnan(lows) & np.isnan(rain))
    periods = np.repeat(np.array([_HALF_DAY, _HALF_DAY, _FULL_DAY], np.int32), count)
    return Observations(
        source=NAME,
        place_id=cities.repeated(kept),
        observed_at=np.concatenate([valid_at, np.full(count, rain_at)])[kept],
        period=periods[kept],
        known_at=instant(bulletin.issued_at),
        values={
            "temperature_2m_max": highs[kept],
            "temperature_2m_min": lows[kept],
            "precipitation_sum": rain[kept],
        },
    )


def _precipitation(bulletin: Bulletin) -> tuple[NDArray[np.float64], np.datetime64]:
    """The 24 h amounts in mm and when they end; a blank is 0.

    The end is 12Z of the next day in the morning layout, else its 00Z.
    """
    printed = (row[3] for row in bulletin.rows)
    inches = np.array([np.nan if text == "MM" else float(text or 0) for text in printed])
    end = np.datetime64(bulletin.dates[0], "us") + DAY
    if bulletin.high_first:
        end += np.timedelta64(_HALF_DAY, "s")
    return convert(inches, "inch", "mm"), end


nws_scs = Uploaded(name=NAME, attribution=_ATTRIBUTION, knows=_recognises, reads=_decode)
