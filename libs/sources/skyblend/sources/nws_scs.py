"""The NWS "Selected Cities" bulletin (FPUS20 KWBN): highs and lows of 164 US cities.

Each has the observed pair and the forecasts of two days. The rules of layout, dates and issue time
are those found by reading all 2,761 bulletins of 2021.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.contract import (
    Attribution,
    BadPayload,
    Decoded,
    Forecasts,
    Labels,
    Observations,
    Payload,
    Request,
    Schedule,
)
from skyblend.sources.times import DAY, Instants, instant
from skyblend.weather.units import convert

NAME = "nws_scs"
LARGEST = 64 * 1024  # bytes; a bulletin has about 4,000
CITIES = {"SCS01": 36, "SCS02": 44, "SCS03": 47, "SCS04": 37}

_HALF_DAY, _FULL_DAY = 43200, 86400
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_WEEKDAYS = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")
_ZONES = {"EST": 5, "EDT": 4}
_AGREEING = timedelta(hours=6)  # of the WMO time with the local time; seven minutes in all of 2021

_HEADING = re.compile(r"FPUS20 KWBN (\d\d)(\d\d)(\d\d)(?: [A-Z]{3})?")
_LOCAL = re.compile(r"(\d{1,4}) (AM|PM) (EST|EDT) ([A-Z]{3}) ([A-Z]{3}) (\d{1,2}) (\d{4})")
_COLUMN = re.compile(r"([A-Z]{3})\.+([A-Z]{3}) +(\d{1,2})")
_HEADER = re.compile(r"CITY +(HI/LO|LO/HI) +PCPN +WEA +(HI/LO|LO/HI) +WEA +(HI/LO|LO/HI)")
_FIRST, _SECOND = r"(B?\d{2,3}|MM)", r"(\d{2,3}B?|MM)"
_LINE = re.compile(
    rf"([A-Z][A-Z .'-]{{0,14}}?) +{_FIRST} +{_SECOND}(?: +(\d*\.\d+|MM))?"
    rf" +[A-Z]+ +{_FIRST}/{_SECOND} +[A-Z]+ +{_FIRST}/{_SECOND}"
)


@dataclass(frozen=True, slots=True)
class _Bulletin:
    part: str
    issued_at: datetime
    high_first: bool
    dates: tuple[date, date, date]
    rows: list[
        tuple[str, ...]
    ]  # city, observed pair, precipitation, first pair, second pair; as printed


_ATTRIBUTION = Attribution(
    licence="US public domain",
    text="US National Weather Service",
    url="https://www.weather.gov/disclaimer",
    commercial=True,
)


@dataclass(frozen=True, slots=True)
class NwsScs:
    """The source of uploaded bulletins; a place is a city as printed."""

    name: str = NAME
    publication_delay: timedelta = timedelta(0)
    schedules: tuple[Schedule, ...] = ()
    attribution: Attribution = _ATTRIBUTION

    def requests(
        self, endpoint: str, places: Sequence[Place], *, slot: datetime, options: Mapping[str, str]
    ) -> Iterator[Request]:
        """Nothing: bulletins are only uploaded."""
        return iter(())

    def recognises(self, name: str, head: bytes) -> bool:
        """Whether the WMO heading stands within the first lines."""
        return b"FPUS20 KWBN" in head[:256] or (
            b"SELECTED CITIES WEATHER SUMMARY" in head[:1024] and b"KWBN" in head[:1024]
        )

    def decode(self, payload: Payload) -> Iterator[Decoded]:
        """Forecasts and observations of one bulletin, known at its WMO time.

        Raises BadPayload for one that is cut or cannot be read.
        """
        bulletin = _read(_text(payload))
        if bulletin.issued_at > payload.received_at + timedelta(minutes=10):
            raise _bad("line 1", "a WMO time that is past", bulletin.issued_at.isoformat())
        cities = _Cities([row[0] for row in bulletin.rows])
        yield _forecasts(bulletin, cities)
        yield _observations(bulletin, cities)


def _bad(where: str, expected: str, got: str) -> BadPayload:
    return BadPayload(NAME, where=where, expected=expected, got=got[:80] or "an empty line")


def _text(payload: Payload) -> str:
    body = payload.body.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise _bad(f"byte {LARGEST}", f"a bulletin of at most {LARGEST} bytes", "a longer file")
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        got = f"byte 0x{body[error.start]:02x}"
        raise _bad(f"byte {error.start}", "ASCII text", got) from error


def _read(text: str) -> _Bulletin:
    lines = [line.rstrip() for line in text.split("\n")]
    start = next((n for n, line in enumerate(lines) if line.startswith("FPUS20 KWBN")), -1)
    if start < 0:
        raise _bad("line 1", "the heading FPUS20 KWBN", lines[0] or "an empty line")
    header, high_first = _header(lines, start)
    local = _local(lines, start + 4)
    rows = _rows(lines, header + 1)
    part = lines[start + 1]
    if part not in CITIES:
        raise _bad(f"line {start + 2}", f"one of {', '.join(CITIES)}", part)
    if len(rows) < CITIES[part]:
        raise _bad(f"line {header + 1}", f"{CITIES[part]} cities in {part}", f"{len(rows)} cities")
    dates = _dates(lines, header - 1, local.date())
    return _Bulletin(part, _issue_time(lines, start, local), high_first, dates, rows)


def _header(lines: Sequence[str], start: int) -> tuple[int, bool]:
    for number in range(start, len(lines)):
        match = _HEADER.fullmatch(lines[number])
        if match:
            if len(set(match.groups())) != 1:
                raise _bad(f"line {number + 1}", "one order of HI and LO", lines[number])
            return number, match[1] == "HI/LO"
    raise _bad(f"line {len(lines)}", "a line CITY HI/LO or CITY LO/HI", "the end of the text")


def _local(lines: Sequence[str], number: int) -> datetime:
    """The local time of line 5 in UTC; an hour may be written 0."""
    line = lines[number] if number < len(lines) else ""
    match = _LOCAL.fullmatch(line)
    where, expected = f"line {number + 1}", "a local time as 750 AM EST SAT JAN 30 2021"
    if not match or match[5] not in _MONTHS or match[4] not in _WEEKDAYS:
        raise _bad(where, expected, line)
    hour, minute = divmod(int(match[1]), 100)
    try:
        local = datetime(
            int(match[7]), _MONTHS.index(match[5]) + 1, int(match[6]),
            hour % 12 + 12 * (match[2] == "PM"), minute, tzinfo=UTC,
        )  # fmt: skip
    except ValueError as error:
        raise _bad(where, expected, line) from error
    if _WEEKDAYS[local.weekday()] != match[4]:
        raise _bad(where, "a date with its weekday", line)
    return local + timedelta(hours=_ZONES[match[3]])


def _issue_time(lines: Sequence[str], start: int, local: datetime) -> datetime:
    """Day, hour and minute of the WMO heading, in the month nearest to the local time."""
    match = _HEADING.fullmatch(lines[start])
    if not match:
        raise _bad(f"line {start + 1}", "FPUS20 KWBN DDHHMM", lines[start])
    day, hour, minute = (int(part) for part in match.groups())
    near = [local.date() + timedelta(days=shift) for shift in range(-15, 17)]
    days = [near_day for near_day in near if near_day.day == day]
    if not days or hour > 23 or minute > 59:
        raise _bad(f"line {start + 1}", "a day, hour and minute", lines[start])
    moments = [datetime(d.year, d.month, d.day, hour, minute, tzinfo=UTC) for d in days]
    nearest = min(moments, key=lambda moment: abs(moment - local))
    if abs(nearest - local) > _AGREEING:
        got = f"{nearest:%Y-%m-%d %H:%M}Z and {local:%Y-%m-%d %H:%M}Z"
        raise _bad(f"line {start + 1}", "a WMO time near the local time", got)
    return nearest


def _dates(lines: Sequence[str], number: int, near: date) -> tuple[date, date, date]:
    found = _COLUMN.findall(lines[number])
    dates = [_nearest(weekday, month, int(day), near) for weekday, month, day in found]
    first = dates[0] if dates else None
    days = None if first is None else [first + timedelta(days=n) for n in range(3)]
    if days is None or dates != days or abs(days[0] - near) > timedelta(days=2):
        raise _bad(
            f"line {number + 1}",
            "three consecutive dates with their weekdays, from the day of issue or the one before",
            lines[number].strip(),
        )
    return days[0], days[1], days[2]


def _nearest(weekday: str, month: str, day: int, near: date) -> date | None:
    """The date in the year nearest to `near`; None where there is none or the weekday disagrees."""
    if month not in _MONTHS or weekday not in _WEEKDAYS:
        return None
    candidates = []
    for year in (near.year - 1, near.year, near.year + 1):
        try:
            candidates.append(date(year, _MONTHS.index(month) + 1, day))
        except ValueError:
            continue
    best = min(candidates, key=lambda candidate: abs(candidate - near), default=None)
    return best if best and _WEEKDAYS[best.weekday()] == weekday else None


def _rows(lines: Sequence[str], first: int) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = []
    for number in range(first, len(lines)):
        line = lines[number]
        if line in ("$$", "NATIONAL TEMPERATURE EXTREMES"):
            _end(lines, number)
            return rows
        match = _LINE.fullmatch(line)
        if match:
            rows.append(match.groups(default=""))
        elif line:
            raise _bad(f"line {number + 1}", "city, pair, precipitation, two forecasts", line)
    raise _bad(f"line {len(lines)}", "$$ at the end of the table", "the end of the text")


def _end(lines: Sequence[str], number: int) -> None:
    """That `$$` follows, and nothing but blanks and the end-of-text sign after it."""
    if "$$" not in lines[number:]:
        raise _bad(f"line {len(lines)}", "$$ at the end", "the end of the text")
    end = lines.index("$$", number)
    for after in range(end + 1, len(lines)):
        if lines[after].strip("\x03 "):
            raise _bad(f"line {after + 1}", "one bulletin, nothing after $$", lines[after])


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


def _column(bulletin: _Bulletin, index: int) -> NDArray[np.float64]:
    printed = np.array([_fahrenheit(row[index]) for row in bulletin.rows])
    return convert(printed, "degF", "degC")


def _pair(
    bulletin: _Bulletin, first: int, day: date
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
    bulletin: _Bulletin, pairs: Sequence[tuple[int, date]]
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


def _forecasts(bulletin: _Bulletin, cities: _Cities) -> Forecasts:
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


def _observations(bulletin: _Bulletin, cities: _Cities) -> Observations:
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


def _precipitation(bulletin: _Bulletin) -> tuple[NDArray[np.float64], np.datetime64]:
    """The 24 h amounts in mm and when they end; a blank is 0.

    The end is 12Z of the next day in the morning layout, else its 00Z.
    """
    printed = (row[3] for row in bulletin.rows)
    inches = np.array([np.nan if text == "MM" else float(text or 0) for text in printed])
    end = np.datetime64(bulletin.dates[0], "us") + DAY
    if bulletin.high_first:
        end += np.timedelta64(_HALF_DAY, "s")
    return convert(inches, "inch", "mm"), end


nws_scs = NwsScs()
