"""Calibrated levels: which standardised residual stands at each quantile level, from forecasts
made out of sample."""

from statistics import NormalDist

import numpy as np
from skyblend.predict.blend.columns import Floats
from skyblend.predict.blend.series import LEVELS

NORMAL: Floats = np.array([NormalDist().inv_cdf(float(level)) for level in LEVELS])

# Days of earlier forecasts at which they weigh as much as the Gaussian, for the width and for the
# lopsidedness of the levels: residuals of one day are far from independent, and a few warm days are
# no skewness.
_WIDTH_DAYS, _SKEW_DAYS = 0.5, 400.0
_FEWEST = 100


def calibrated(residuals: Floats, days: int) -> Floats:
    """Standardised residuals at LEVELS, ascending; shrunk to a symmetric shape, and to the
    Gaussian, where days are few."""
    good = np.sort(residuals[np.isfinite(residuals)])
    if len(good) < _FEWEST:
        return NORMAL.copy()
    symmetric = _quantiles(np.sort(np.concatenate([good, -good])))
    skew = days / (days + _SKEW_DAYS) * (_quantiles(good) - symmetric)
    share = days / (days + _WIDTH_DAYS)
    return np.maximum.accumulate(share * symmetric + (1 - share) * NORMAL + skew)


def _quantiles(ordered: Floats) -> Floats:
    """Of n residuals the one of rank (n + 1) p, as split conformal prediction has it."""
    rank = np.clip(LEVELS * (len(ordered) + 1) - 1, 0, len(ordered) - 1)
    return np.interp(rank, np.arange(len(ordered)), ordered)
