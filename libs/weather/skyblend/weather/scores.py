"""Verification scores: how good forecasts were against what was observed.

Scores of a case come as arrays of the cases' shape, NaN where something is missing; `mae`, `bias`
and `coverage` average over the complete cases and are NaN where there is none. Quantiles are [...,
L] with ascending `levels` [L].
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from skyblend.weather import normal

Floats = NDArray[np.float64]


def pinball(quantiles: ArrayLike, observed: ArrayLike, *, levels: ArrayLike) -> Floats:
    """Pinball (quantile) loss of each quantile, [..., L], in the variable's unit.

    (y - q) * level where y >= q, (q - y) * (1 - level) where y < q. Koenker and Bassett (1978),
    Econometrica 46, 33-50.
    """
    error = _floats(observed)[..., np.newaxis] - _floats(quantiles)
    tau = _checked_levels(levels, count=error.shape[-1])
    return np.maximum(tau * error, (tau - 1.0) * error)


def crps_quantiles(quantiles: ArrayLike, observed: ArrayLike, *, levels: ArrayLike) -> Floats:
    """CRPS from quantiles: twice the mean pinball loss over the levels.

    The CRPS is twice the integral of the pinball loss over all levels (Gneiting and Ranjan 2011, J.
    Bus. Econ. Stat. 29, 411-422, eq. 11); evenly spaced levels approximate the integral by their
    mean.
    """
    return np.asarray(2.0 * pinball(quantiles, observed, levels=levels).mean(axis=-1))


def crps_gaussian(mean: ArrayLike, spread: ArrayLike, observed: ArrayLike) -> Floats:
    """CRPS of a Gaussian with standard deviation `spread`; the absolute error where that is 0.

    s * (z * (2 * Phi(z) - 1) + 2 * phi(z) - 1 / sqrt(pi)), z = (y - mean) / s.
    Gneiting, Raftery, Westveld and Goldman (2005), Mon. Weather Rev. 133, 1098-1118, eq. 5. A
    negative spread gives NaN.
    """
    centre, width, y = np.broadcast_arrays(_floats(mean), _floats(spread), _floats(observed))
    z = _standardised(centre, width, y)
    score = width * (
        z * (2.0 * normal.cdf(z) - 1.0) + 2.0 * normal.pdf(z) - 1.0 / math.sqrt(math.pi)
    )
    return np.where(width == 0.0, np.abs(y - centre), score)


def absolute_error(forecast: ArrayLike, observed: ArrayLike) -> Floats:
    """Distance of each forecast from its observation."""
    return np.abs(_floats(forecast) - _floats(observed))


def mae(forecast: ArrayLike, observed: ArrayLike) -> float:
    """Mean absolute error over the complete cases."""
    return mean_of_complete(absolute_error(forecast, observed))


def bias(forecast: ArrayLike, observed: ArrayLike) -> float:
    """Mean of forecast minus observation over the complete cases: above 0 where too high."""
    return mean_of_complete(_floats(forecast) - _floats(observed))


def coverage(lower: ArrayLike, upper: ArrayLike, observed: ArrayLike) -> float:
    """Share of observations within [lower, upper], both ends included, over the complete cases."""
    low, high, y = np.broadcast_arrays(_floats(lower), _floats(upper), _floats(observed))
    inside = ((low <= y) & (y <= high)).astype(np.float64)
    return mean_of_complete(np.where(np.isnan(low + high + y), np.nan, inside))


def pit_gaussian(mean: ArrayLike, spread: ArrayLike, observed: ArrayLike) -> Floats:
    """Probability integral transform Phi((y - mean) / spread).

    It is uniform on [0, 1] where the forecasts are calibrated.
    Dawid (1984), J. R. Stat. Soc. A 147, 278-292. NaN where the spread is not positive.
    """
    centre, width, y = np.broadcast_arrays(_floats(mean), _floats(spread), _floats(observed))
    return normal.cdf(np.where(width > 0.0, _standardised(centre, width, y), np.nan))


def pit_quantiles(quantiles: ArrayLike, observed: ArrayLike, *, levels: ArrayLike) -> Floats:
    """Probability integral transform from quantiles that do not cross, linear between them.

    An observation below the first (above the last) quantile gets the middle of the probability that
    lies there; one on several equal quantiles gets the middle of their levels.
    """
    q, y = _floats(quantiles), _floats(observed)[..., np.newaxis]
    tau = _checked_levels(levels, count=q.shape[-1])
    below, at_most = (q < y).sum(axis=-1), (q <= y).sum(axis=-1)
    first, last = tau[np.minimum(below, tau.size - 1)], tau[np.maximum(at_most, 1) - 1]
    result = np.where(at_most > below, 0.5 * (first + last), _between(q, y[..., 0], below, tau))
    return np.where(np.isnan(q).any(axis=-1) | np.isnan(y[..., 0]), np.nan, result)


def mean_of_complete(values: ArrayLike) -> float:
    """Mean over the values that are not NaN; NaN where there is none."""
    array = _floats(values)
    complete = array[~np.isnan(array)]
    return float(complete.mean()) if complete.size else math.nan


def _between(q: Floats, y: Floats, below: NDArray[np.intp], tau: Floats) -> Floats:
    """Level of y, which lies above `below` quantiles and on none of them."""
    left, right = np.maximum(below - 1, 0), np.minimum(below, tau.size - 1)
    low = np.take_along_axis(q, left[..., np.newaxis], axis=-1)[..., 0]
    high = np.take_along_axis(q, right[..., np.newaxis], axis=-1)[..., 0]
    width = np.where(high > low, high - low, 1.0)
    inner = tau[left] + (tau[right] - tau[left]) * (y - low) / width
    return np.where(
        below == 0, tau[0] / 2.0, np.where(below == tau.size, (1.0 + tau[-1]) / 2.0, inner)
    )


def _standardised(centre: Floats, width: Floats, y: Floats) -> Floats:
    z = (y - centre) / np.where(width > 0.0, width, 1.0)
    return np.where(width < 0.0, np.nan, z)


def _checked_levels(levels: ArrayLike, *, count: int) -> Floats:
    tau = _floats(levels)
    if tau.shape != (count,):
        raise ValueError(
            f"levels: expected shape ({count},) as the quantiles' last axis, got {tau.shape}"
        )
    if not (np.all(np.diff(tau) > 0) and tau[0] > 0 and tau[-1] < 1):
        raise ValueError(f"levels: expected ascending numbers between 0 and 1, got {tau.tolist()}")
    return tau


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
