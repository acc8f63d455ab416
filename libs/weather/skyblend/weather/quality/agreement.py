"""Agreement with the other forecasts of the same target that were known at the time."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skyblend.weather.quality.cases import Floats, Ints, Mask

_MOST = 24  # the newest others that are asked
_AT_ONCE = 50_000
_TO_SPREAD = 1.4826  # median absolute deviation to standard deviation, of a Gaussian


@dataclass(frozen=True, slots=True)
class Others:
    """The other forecasts of each row's target: how many (at most 24), their median and spread.

    `apart` is the row's distance from the median, or from the nearest quarter of them where that is
    less: where forecasts fall into two camps, neither is wrong for that.
    """

    count: Ints
    median: Floats
    spread: Floats
    apart: Floats

    @classmethod
    def none(cls, size: int) -> "Others":
        """Nobody spoke of any of `size` rows."""
        columns = [np.full(size, np.nan) for _ in range(3)]
        return cls(np.zeros(size, np.int64), *columns)

    def put(self, rows: NDArray[np.intp], part: "Others") -> None:
        """Write what was found for some of the rows."""
        for name in ("count", "median", "spread", "apart"):
            getattr(self, name)[rows] = getattr(part, name)


def others(
    target: Ints, known: Ints, value: Floats, *, is_forecast: Mask, forecaster: Ints
) -> Others:
    """What the forecasts of the same target said that were known when each row became known.

    `target` and `known` are codes in ascending order of time. A row never counts for itself; its
    forecaster's earlier issues do. Ties are ordered by forecaster and value, so that the result
    does not depend on the order of the rows.
    """
    speakers = np.flatnonzero(is_forecast)
    keys = (value[speakers], forecaster[speakers], known[speakers], target[speakers])
    speakers = speakers[np.lexsort(keys)]
    said = _Said(target[speakers], known[speakers], value[speakers])
    place_of = np.full(target.shape, -1)
    place_of[speakers] = np.arange(speakers.size)
    result = Others.none(target.size)
    for rows in np.array_split(np.arange(target.size), target.size // _AT_ONCE + 1):
        heard = _heard(said, target[rows], known[rows], own=place_of[rows])
        result.put(rows, _summary(heard, value[rows]))
    return result


@dataclass(frozen=True, slots=True)
class _Said:
    """Forecasts in the order of target and known time."""

    target: Ints
    known: Ints
    value: Floats


def _heard(said: _Said, target: Ints, known: Ints, *, own: Ints) -> NDArray[np.float64]:
    """The newest others that each row could hear, [rows, 25], NaN where there is none."""
    times = int(max(said.known.max(initial=0), known.max(initial=0))) + 1
    end = np.searchsorted(said.target * times + said.known, target * times + known, side="right")
    start = np.searchsorted(said.target, target, side="left")
    position = end[:, np.newaxis] - 1 - np.arange(_MOST + 1)
    use = (position >= start[:, np.newaxis]) & (position != own[:, np.newaxis])
    use &= np.cumsum(use, axis=1) <= _MOST
    values = np.full(position.shape, np.nan)
    values[use] = said.value[position[use]]
    return values


def _summary(heard: NDArray[np.float64], value: Floats) -> Others:
    count = np.count_nonzero(~np.isnan(heard), axis=1)
    median = _median(np.sort(heard, axis=1), count)
    deviation = np.sort(np.abs(heard - median[:, np.newaxis]), axis=1)
    distance = np.sort(np.abs(heard - value[:, np.newaxis]), axis=1)
    quarter = distance[np.arange(count.size), np.maximum((count + 3) // 4 - 1, 0)]
    return Others(
        count=count,
        median=median,
        spread=_TO_SPREAD * _median(deviation, count),
        apart=np.minimum(np.abs(value - median), quarter),
    )


def _median(ordered: NDArray[np.float64], count: Ints) -> Floats:
    """Median of the first `count` numbers of each ordered row, NaN where there is none."""
    row = np.arange(count.size)
    low = ordered[row, np.maximum(count - 1, 0) // 2]
    return np.asarray(0.5 * (low + ordered[row, count // 2]))
