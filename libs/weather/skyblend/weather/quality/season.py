"""The place's own range at a time of year, from what was known in the weeks before.

A histogram for each place and week of the year grows with the weeks of known_at, so that each row
meets exactly what was known before its own week began. The window is the row's week of the year
and six to each side, about 45 days; in the first year that is simply the recent past.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skyblend.weather.quality.cases import Floats, Ints, Times

_WEEKS = 52
_WINDOW = np.arange(-6, 7)
_ENOUGH_DAYS = 20
_CELLS_AT_ONCE = 10_000_000
_TAIL = 0.05


@dataclass(frozen=True, slots=True)
class Bins:
    """Equal bins of a variable's values: `count` of `width` from `low` up."""

    low: float
    width: float
    count: int


def seasonal_range(
    group: Ints, valid_at: Times, known_at: Times, value: Floats, *, bins: Bins
) -> tuple[Floats, Floats]:
    """The 5 % and the 95 % point that each row's group had before, NaN with fewer than 20 days.

    `group` holds codes from 0 (place and period); all arrays have one value for each row.
    """
    low, high = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    for rows, codes in _portions(group, cells=_WEEKS * bins.count):
        found = _ranges(codes, valid_at[rows], known_at[rows], value[rows], bins=bins)
        low[rows], high[rows] = found
    return low, high


def _portions(group: Ints, *, cells: int) -> Iterator[tuple[NDArray[np.intp], Ints]]:
    """Rows of as many groups as fit into memory at once, with their codes from 0."""
    groups = int(group.max(initial=-1)) + 1
    at_once = max(1, _CELLS_AT_ONCE // cells)
    for first in range(0, groups, at_once):
        rows = np.flatnonzero((group >= first) & (group < first + at_once))
        yield rows, group[rows] - first


def _ranges(
    group: Ints, valid_at: Times, known_at: Times, value: Floats, *, bins: Bins
) -> tuple[Floats, Floats]:
    low, high = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    groups = int(group.max(initial=-1)) + 1
    counts = np.zeros((groups * _WEEKS, bins.count), np.int32)
    days = np.zeros(groups * _WEEKS, np.int32)
    cell = group * _WEEKS + _week_of_year(valid_at)
    level = np.clip((value - bins.low) / bins.width, 0, bins.count - 1).astype(np.int64)
    is_new_day = _is_new_day(group, valid_at, known_at)
    for rows in _by_week(known_at):
        wanted, inverse = np.unique(cell[rows], return_inverse=True)
        at_low, at_high = _tails(counts, days, wanted, bins=bins)
        low[rows], high[rows] = at_low[inverse], at_high[inverse]
        np.add.at(counts, (cell[rows], level[rows]), 1)
        np.add.at(days, cell[rows][is_new_day[rows]], 1)
    return low, high


def _tails(
    counts: NDArray[np.int32], days: NDArray[np.int32], cells: Ints, *, bins: Bins
) -> tuple[Floats, Floats]:
    """The outer points of the window around each cell, NaN where it holds too few days."""
    group, week = np.divmod(cells, _WEEKS)
    window = group[:, np.newaxis] * _WEEKS + (week[:, np.newaxis] + _WINDOW) % _WEEKS
    low, high = np.full(cells.shape, np.nan), np.full(cells.shape, np.nan)
    enough = days[window].sum(axis=1) >= _ENOUGH_DAYS
    total = np.zeros((int(enough.sum()), bins.count))
    for part in window[enough].T:
        total += counts[part]
    share = np.cumsum(total, axis=1) / np.maximum(total.sum(axis=1, keepdims=True), 1)
    low[enough] = bins.low + bins.width * np.argmax(share > _TAIL, axis=1)
    high[enough] = bins.low + bins.width * (np.argmax(share >= 1.0 - _TAIL, axis=1) + 1)
    return low, high


def _by_week(known_at: Times) -> Iterator[NDArray[np.intp]]:
    """The rows of each week of known_at, in the order of time."""
    week = known_at.astype("datetime64[W]").astype(np.int64)
    order = np.argsort(week, kind="stable")
    edges = np.flatnonzero(np.diff(week[order])) + 1
    return iter(np.split(order, edges)) if order.size else iter(())


def _is_new_day(group: Ints, valid_at: Times, known_at: Times) -> NDArray[np.bool_]:
    """Whether a row is the first known one of its group and date."""
    date = valid_at.astype("datetime64[D]").astype(np.int64)
    key = group * 1_000_000 + date - int(date.min(initial=0))
    order = np.argsort(known_at, kind="stable")
    first = np.unique(key[order], return_index=True)[1]
    result = np.zeros(group.shape, bool)
    result[order[first]] = True
    return result


def _week_of_year(valid_at: Times) -> Ints:
    new_year = valid_at.astype("datetime64[Y]").astype("datetime64[D]")
    day = (valid_at.astype("datetime64[D]") - new_year).astype(np.int64)
    return np.asarray(np.minimum(day // 7, _WEEKS - 1), dtype=np.int64)
