"""The layout of the NWS "Selected Cities" bulletin: heading, local time, dates, cities.

The rules are those found by reading all 2,761 bulletins of 2021.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from skyblend.sources.contract import BadPayload, Payload

NAME = "nws_scs"
LARGEST = 64 * 1024  # bytes; a bulletin has about 4,000
CITIES = {"SCS01": 36, "SCS02": 44, "SCS03": 47, "SCS04": 37}

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
class Bulletin:
    """What a bulletin prints. `dates` are the observed day and the two that are forecast; each row
    is city, observed pair, precipitation, first pair, second pair."""

    part: str
    issued_at: datetime
    high_first: bool
    dates: tuple[date, date, date]
    rows: list[tuple[str, ...]]


def bad(where: str, expected: str, got: str) -> BadPayload:
    """The refusal of a bulletin, with what came cut short."""
    return BadPayload(NAME, where=where, expected=expected, got=got[:80] or "an empty line")


def text_of(payload: Payload) -> str:
    """The bulletin as text. Raises BadPayload for one that is too long or not ASCII."""
    body = payload.body.read(LARGEST + 1)
    if len(body) > LARGEST:
        raise bad(f"byte {LARGEST}", f"a bulletin of at most {LARGEST} bytes", "a longer file")
    try:
        return body.decode("ascii")
    except UnicodeDecodeError as error:
        got = f"byte 0x{body[error.start]:02x}"
        raise bad(f"byte {error.start}", "ASCII text", got) from error


def parse(text: str) -> Bulletin:
    """The one bulletin of a text. Raises BadPayload for one that is cut or cannot be read."""
    lines = [line.rstrip() for line in text.split("\n")]
    start = next((n for n, line in enumerate(lines) if line.startswith("FPUS20 KWBN")), -1)
    if start < 0:
        raise bad("line 1", "the heading FPUS20 KWBN", lines[0] or "an empty line")
    header, high_first = _header(lines, start)
    local = _local(lines, start + 4)
    rows = _rows(lines, header + 1)
    part = lines[start + 1]
    if part not in CITIES:
        raise bad(f"line {start + 2}", f"one of {', '.join(CITIES)}", part)
    if len(rows) < CITIES[part]:
        raise bad(f"line {header + 1}", f"{CITIES[part]} cities in {part}", f"{len(rows)} cities")
    dates = _dates(lines, header - 1, local.date())
    return Bulletin(part, _issue_time(lines, start, local), high_first, dates, rows)


def _header(lines: Sequence[str], start: int) -> tuple[int, bool]:
    for number in range(start, len(lines)):
        match = _HEADER.fullmatch(lines[number])
        if match:
            if len(set(match.groups())) != 1:
                raise bad(f"line {number + 1}", "one order of HI and LO", lines[number])
            return number, match[1] == "HI/LO"
    raise bad(f"line {len(lines)}", "a line CITY HI/LO or CITY LO/HI", "the end of the text")


def _local(lines: Sequence[str], number: int) -> datetime:
    """The local time of line 5 in UTC; an hour may be written 0."""
    line = lines[number] if number < len(lines) else ""
    match = _LOCAL.fullmatch(line)
    where, expected = f"line {number + 1}", "a local time as 750 AM EST SAT JAN 30 2021"
    if not match or match[5] not in _MONTHS or match[4] not in _WEEKDAYS:
        raise bad(where, expected, line)
    hour, minute = divmod(int(match[1]), 100)
    try:
        local = datetime(
            int(match[7]), _MONTHS.index(match[5]) + 1, int(match[6]),
            hour % 12 + 12 * (match[2] == "PM"), minute, tzinfo=UTC,
        )  # fmt: skip
    except ValueError as error:
        raise bad(where, expected, line) from error
    if _WEEKDAYS[local.weekday()] != match[4]:
        raise bad(where, "a date with its weekday", line)
    return local + timedelta(hours=_ZONES[match[3]])


def _issue_time(lines: Sequence[str], start: int, local: datetime) -> datetime:
    """Day, hour and minute of the WMO heading, in the month nearest to the local time."""
    match = _HEADING.fullmatch(lines[start])
    if not match:
        raise bad(f"line {start + 1}", "FPUS20 KWBN DDHHMM", lines[start])
    day, hour, minute = (int(part) for part in match.groups())
    near = [local.date() + timedelta(days=shift) for shift in range(-15, 17)]
    days = [near_day for near_day in near if near_day.day == day]
    if not days or hour > 23 or minute > 59:
        raise bad(f"line {start + 1}", "a day, hour and minute", lines[start])
    moments = [datetime(d.year, d.month, d.day, hour, minute, tzinfo=UTC) for d in days]
    nearest = min(moments, key=lambda moment: abs(moment - local))
    if abs(nearest - local) > _AGREEING:
        got = f"{nearest:%Y-%m-%d %H:%M}Z and {local:%Y-%m-%d %H:%M}Z"
        raise bad(f"line {start + 1}", "a WMO time near the local time", got)
    return nearest


def _dates(lines: Sequence[str], number: int, near: date) -> tuple[date, date, date]:
    found = _COLUMN.findall(lines[number])
    dates = [_nearest(weekday, month, int(day), near) for weekday, month, day in found]
    first = dates[0] if dates else None
    days = None if first is None else [first + timedelta(days=n) for n in range(3)]
    if days is None or dates != days or abs(days[0] - near) > timedelta(days=2):
        raise bad(
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
            raise bad(f"line {number + 1}", "city, pair, precipitation, two forecasts", line)
    raise bad(f"line {len(lines)}", "$$ at the end of the table", "the end of the text")


def _end(lines: Sequence[str], number: int) -> None:
    """That `$$` follows, and nothing but blanks and the end-of-text sign after it."""
    if "$$" not in lines[number:]:
        raise bad(f"line {len(lines)}", "$$ at the end", "the end of the text")
    end = lines.index("$$", number)
    for after in range(end + 1, len(lines)):
        if lines[after].strip("\x03 "):
            raise bad(f"line {after + 1}", "one bulletin, nothing after $$", lines[after])
