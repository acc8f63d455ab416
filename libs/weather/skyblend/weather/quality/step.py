"""Steps between consecutive observations of one series that no real series makes."""

import numpy as np
from numpy.typing import NDArray
from skyblend.weather.quality.cases import Floats, Ints, Times

_NEIGHBOURS = (-2, -1, 1, 2)


def neighbours_range(
    series: Ints,
    valid_at: Times,
    known_at: Times,
    value: Floats,
    *,
    step: tuple[tuple[float, float], ...],
) -> tuple[Floats, Floats]:
    """The widest limits that the observations next to each row allow; NaN with fewer than two.

    The neighbours are the two observed times before and the two after, as far as they were known
    with the row and lie within the longest time of `step` (hours, largest change; linear between).
    A row inside the limits agrees with at least one of them; so an outlier is found by its two good
    neighbours, and they find each other.
    """
    hours, change = np.array(step).T
    order = np.lexsort((value, known_at, valid_at, series))
    first = _first_of_each(series[order], valid_at[order])
    represents = order[first]
    at = np.cumsum(first) - 1
    low, high = np.full(value.shape, np.inf), np.full(value.shape, -np.inf)
    count = np.zeros(value.shape, np.int64)
    for offset in _NEIGHBOURS:
        inside = (at + offset >= 0) & (at + offset < represents.size)
        rows, near = order[inside], represents[at[inside] + offset]
        apart = np.abs(valid_at[rows] - valid_at[near]) / np.timedelta64(3_600_000_000, "us")
        use = (series[rows] == series[near]) & (known_at[near] <= known_at[rows])
        use &= apart <= hours[-1]
        rows, near, limit = rows[use], near[use], np.interp(apart[use], hours, change)
        low[rows] = np.minimum(low[rows], value[near] - limit)
        high[rows] = np.maximum(high[rows], value[near] + limit)
        count[rows] += 1
    return np.where(count >= 2, low, np.nan), np.where(count >= 2, high, np.nan)


def _first_of_each(series: Ints, valid_at: Times) -> NDArray[np.bool_]:
    """Whether a row is the first of its series and time; both are sorted."""
    is_first = np.ones(series.size, bool)
    is_first[1:] = (series[1:] != series[:-1]) | (valid_at[1:] != valid_at[:-1])
    return is_first
