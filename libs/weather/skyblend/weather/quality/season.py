"""The place's own range at a time of year, from what was known in the weeks before.

A histogram for each place and week of the year grows with the weeks of known_at, so that each row
meets exactly what was known before its own week began. The window is the row's week of the year
and six to each side, about 45 days; in the first year that is simply the recent past.
`seasonal_limits` keeps what values that are still to come will meet, for where no history is.
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
_COLUMNS = 6  # weeks of the year ahead: 16 days of forecasts, and some without a training


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
    for rows, start in _portions(group, cells=_WEEKS * bins.count):
        found = _ranges(group[rows] - start, valid_at[rows], known_at[rows], value[rows], bins=bins)
        low[rows], high[rows] = found
    return low, high


@dataclass(frozen=True, slots=True)
class SeasonalLimits:
    """The seasonal ranges as of a time, of groups with codes from 0.

    `low` and `high` are [groups, 3, weeks]: for values that became known in the week before the one
    of that time (`week`, since 1970), in it, and later; by weeks of the year from `first` on.
    """

    week: int
    first: int
    low: Floats
    high: Floats

    @classmethod
    def none(cls) -> "SeasonalLimits":
        """Nothing is known of any group."""
        return cls(0, 0, np.empty((0, 3, _COLUMNS)), np.empty((0, 3, _COLUMNS)))

    def at(self, group: Ints, valid_at: Times, known_at: Times) -> tuple[Floats, Floats]:
        """The range of each row, NaN where none is known."""
        column = (_week_of_year(valid_at) - self.first) % _WEEKS
        inside = (group >= 0) & (group < len(self.low)) & (column < self.low.shape[2])
        known = np.clip(_week(known_at) - self.week, -1, 1) + 1
        low, high = np.full(group.shape, np.nan), np.full(group.shape, np.nan)
        at = group[inside], known[inside], column[inside]
        low[inside], high[inside] = self.low[at], self.high[at]
        return low, high


def seasonal_limits(
    group: Ints,
    valid_at: Times,
    known_at: Times,
    value: Floats,
    *,
    bins: Bins,
    at: np.datetime64,
) -> SeasonalLimits:
    """What `seasonal_range` would say of values that become known from the week before `at` on, by
    the rows, all of which are known at `at`."""
    moment = np.array([at], "datetime64[us]")
    week, first = int(_week(moment)[0]), int(_week_of_year(moment)[0])
    groups = int(group.max(initial=-1)) + 1
    low, high = (np.full((groups, 3, _COLUMNS), np.nan) for _ in range(2))
    columns = (first + np.arange(_COLUMNS)) % _WEEKS
    since = np.clip(_week(known_at) - week, -2, 0) + 2
    for rows, start in _portions(group, cells=_WEEKS * bins.count):
        seen = _Seen(group[rows] - start, valid_at[rows], known_at[rows], value[rows], bins=bins)
        there = np.unique(group[rows])
        wanted = ((there - start)[:, np.newaxis] * _WEEKS + columns).ravel()
        for step in range(3):
            seen.add(np.flatnonzero(since[rows] == step))
            found = (column.reshape(-1, _COLUMNS) for column in seen.tails(wanted))
            low[there, step], high[there, step] = found
    return SeasonalLimits(week, first, low, high)


def _portions(group: Ints, *, cells: int) -> Iterator[tuple[NDArray[np.intp], int]]:
    """Rows of as many groups as fit into memory at once, with the first group's code."""
    groups = int(group.max(initial=-1)) + 1
    at_once = max(1, _CELLS_AT_ONCE // cells)
    for first in range(0, groups, at_once):
        rows = np.flatnonzero((group >= first) & (group < first + at_once))
        yield rows, first


def _ranges(
    group: Ints, valid_at: Times, known_at: Times, value: Floats, *, bins: Bins
) -> tuple[Floats, Floats]:
    low, high = np.full(value.shape, np.nan), np.full(value.shape, np.nan)
    seen = _Seen(group, valid_at, known_at, value, bins=bins)
    for rows in _by_week(known_at):
        wanted, inverse = np.unique(seen.cell[rows], return_inverse=True)
        at_low, at_high = seen.tails(wanted)
        low[rows], high[rows] = at_low[inverse], at_high[inverse]
        seen.add(rows)
    return low, high


class _Seen:
    """A histogram of the rows seen so far and their number of days, for each group and week of the
    year (`cell`)."""

    def __init__(
        self, group: Ints, valid_at: Times, known_at: Times, value: Floats, *, bins: Bins
    ) -> None:
        self._bins = bins
        self.cell = group * _WEEKS + _week_of_year(valid_at)
        level = np.clip((value - bins.low) / bins.width, 0, bins.count - 1)
        self._level = level.astype(np.int64)
        self._is_new_day = _is_new_day(group, valid_at, known_at)
        cells = (int(group.max(initial=-1)) + 1) * _WEEKS
        self._counts = np.zeros((cells, bins.count), np.int32)
        self._days = np.zeros(cells, np.int32)

    def add(self, rows: NDArray[np.intp]) -> None:
        np.add.at(self._counts, (self.cell[rows], self._level[rows]), 1)
        np.add.at(self._days, self.cell[rows][self._is_new_day[rows]], 1)

    def tails(self, cells: Ints) -> tuple[Floats, Floats]:
        """The outer points of the window around each cell, NaN where it holds too few days."""
        bins = self._bins
        group, week = np.divmod(cells, _WEEKS)
        window = group[:, np.newaxis] * _WEEKS + (week[:, np.newaxis] + _WINDOW) % _WEEKS
        low, high = np.full(cells.shape, np.nan), np.full(cells.shape, np.nan)
        enough = self._days[window].sum(axis=1) >= _ENOUGH_DAYS
        total = np.zeros((int(enough.sum()), bins.count))
        for part in window[enough].T:
            total += self._counts[part]
        share = np.cumsum(total, axis=1) / np.maximum(total.sum(axis=1, keepdims=True), 1)
        low[enough] = bins.low + bins.width * np.argmax(share > _TAIL, axis=1)
        high[enough] = bins.low + bins.width * (np.argmax(share >= 1.0 - _TAIL, axis=1) + 1)
        return low, high


def _by_week(known_at: Times) -> Iterator[NDArray[np.intp]]:
    """The rows of each week of known_at, in the order of time."""
    week = _week(known_at)
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


def _week(time: Times) -> Ints:
    """The week since 1970."""
    return np.asarray(time.astype("datetime64[W]").astype(np.int64))


def _week_of_year(valid_at: Times) -> Ints:
    new_year = valid_at.astype("datetime64[Y]").astype("datetime64[D]")
    day = (valid_at.astype("datetime64[D]") - new_year).astype(np.int64)
    return np.asarray(np.minimum(day // 7, _WEEKS - 1), dtype=np.int64)
