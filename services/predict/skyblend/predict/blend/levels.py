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
_FEWEST, _CASES_PER_DAY = 100, 6.0


def calibrated(residuals: Floats, days: int) -> Floats:
    """Standardised residuals at LEVELS, ascending; shrunk to a symmetric shape, and to the
    Gaussian, where days are few."""
    good = residuals[np.isfinite(residuals)]
    if len(good) < _FEWEST:
        return NORMAL.copy()
    reached = _reached(days * _CASES_PER_DAY)
    symmetric = np.quantile(np.concatenate([good, -good]), reached)
    skew = days / (days + _SKEW_DAYS) * (np.quantile(good, reached) - symmetric)
    share = days / (days + _WIDTH_DAYS)
    return np.maximum.accumulate(share * symmetric + (1 - share) * NORMAL + skew)


def _reached(cases: float) -> Floats:
    """The levels at which quantiles of so many independent cases are taken: of n cases the one
    of rank (n + 1) p, counted from the middle outwards, as split conformal prediction has it
    (Vovk et al. 2005)."""
    tail = np.minimum(LEVELS, 1 - LEVELS)
    further = np.maximum(tail - (1 - tail) / cases, 0.2 * tail)
    return np.where(LEVELS < 0.5, further, np.where(LEVELS > 0.5, 1 - further, LEVELS))
