"""What the records of every source must keep to, whatever the source: the contract. A row that
breaks it is refused."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skyblend.preprocess.entries import Entries
from skyblend.preprocess.rows import FORECASTS, POSITION, Mask, Rows, label
from skyblend.protos.place_ids import problem
from skyblend.sources.contract import Refusal
from skyblend.weather.variables import BY_NAME

CLOCKS = np.timedelta64(10, "m")  # by which a provider's clock may be ahead of ours
_LIMITS = {"latitude": 90.0, "longitude": 180.0, "elevation": 9000.0}


@dataclass(frozen=True, slots=True)
class Check:
    """One rule: which rows break it, what was expected, and how a row says what it got."""

    expected: str
    broken: Callable[[Rows], Mask]
    got: Callable[[Rows, int], str]


def keep_good(rows: Rows, entries: Entries) -> Rows:
    """The rows that keep to the contract and hold a value; each of the others that breaks it
    becomes an entry."""
    good = _with_value(rows)
    for check in CHECKS:
        broken = check.broken(rows) & good
        for row in np.flatnonzero(broken):
            refuse(rows, int(row), check.expected, check.got(rows, int(row)), entries)
        good &= ~broken
    return rows.keep(good)


def refuse(rows: Rows, row: int, expected: str, got: str, entries: Entries) -> None:
    """Make an entry of one row."""
    source = label(rows.texts["source"], row)
    entries.add(rows.raw(row).partition("#")[2], source, Refusal(where(rows, row), expected, got))


def where(rows: Rows, row: int) -> str:
    """A row's place in words: its key without what the entry says already."""
    parts = [f"place {rows.place(row)[:80]!r}"]
    if rows.kind == FORECASTS:
        parts.append(f"model {label(rows.texts['model'], row) or 'unnamed'}")
        parts.append(f"issued_at {rows.times['issued_at'][row]}Z")
    return ", ".join([*parts, f"{_end_name(rows)} {rows.end[row]}Z", f"period {rows.period[row]}"])


def _end_name(rows: Rows) -> str:
    return "valid_at" if rows.kind == FORECASTS else "observed_at"


def _none(rows: Rows) -> Mask:
    return np.zeros(rows.count, bool)


def _with_value(rows: Rows) -> Mask:
    """Which rows hold any value: a row of missing values is no record."""
    found = _none(rows)
    for column in rows.values.values():
        found |= ~np.isnan(column)
        if found.all():
            break
    return found


def _issued_later(rows: Rows) -> Mask:
    if rows.kind != FORECASTS:
        return _none(rows)
    return rows.times["issued_at"] > rows.times["received_at"] + CLOCKS


def _observed_later(rows: Rows) -> Mask:
    if rows.kind == FORECASTS:
        return _none(rows)
    return rows.times["observed_at"] > rows.times["received_at"] + CLOCKS


def _bad_place(rows: Rows) -> Mask:
    places = rows.texts["place_id"]
    bad = np.array([problem(name) is not None for name in places.names])
    broken: Mask = bad[places.codes]
    return broken


def _place_problem(rows: Rows, row: int) -> str:
    return problem(rows.place(row)) or ""


def _bad_position(rows: Rows) -> Mask:
    broken: Mask = np.logical_or.reduce([abs(rows.position[n]) > _LIMITS[n] for n in POSITION])
    return broken


def _infinite(rows: Rows) -> Mask:
    broken = _none(rows)
    for column in rows.values.values():
        broken |= np.isinf(column)
    return broken


def _infinite_names(rows: Rows, row: int) -> str:
    return ", ".join(n for n, column in rows.values.items() if np.isinf(column[row])) + " infinite"


def _wrong_period(rows: Rows) -> Mask:
    broken = _none(rows)
    for period in np.unique(rows.period):
        wrong = [n for n in rows.values if not BY_NAME[n].allows(int(period))]
        if wrong:
            of_it = rows.period == period
            broken |= of_it & ~np.logical_and.reduce([np.isnan(rows.values[n]) for n in wrong])
    return broken


def _wrong_period_names(rows: Rows, row: int) -> str:
    period = int(rows.period[row])
    held = [n for n, column in rows.values.items() if not np.isnan(column[row])]
    wrong = (n for n in held if not BY_NAME[n].allows(period))
    return f"{', '.join(wrong)} over {period} s"


def _time(name: str) -> Callable[[Rows, int], str]:
    return lambda rows, row: f"{name} {rows.times[name][row]}Z, received at {_received(rows, row)}"


def _received(rows: Rows, row: int) -> str:
    return f"{rows.times['received_at'][row]}Z"


def _position(rows: Rows, row: int) -> str:
    return ", ".join(f"{name} {rows.position[name][row]:g}" for name in POSITION)


CHECKS = (
    Check(
        "a run issued at most 10 minutes after we received it", _issued_later, _time("issued_at")
    ),
    Check("an observation that is not from the future", _observed_later, _time("observed_at")),
    Check("a place id that can be one", _bad_place, _place_problem),
    Check("a position on the earth", _bad_position, _position),
    Check("finite values", _infinite, _infinite_names),
    Check("a period that fits the variable", _wrong_period, _wrong_period_names),
)
