"""The forecast without a model: the mean of the forecasters with a stated default spread."""

import numpy as np
from skyblend.predict.blend.calibrated import Prediction
from skyblend.predict.blend.columns import HOUR, Floats, Ints
from skyblend.predict.blend.features import mean_of
from skyblend.predict.blend.levels import NORMAL
from skyblend.predict.blend.series import Series, default_spread


def default_blend(series: Series, value: Floats, issued: Ints | Floats, valid: Ints) -> Prediction:
    """Mean of `value` [n, forecasters] and Gaussian quantiles; the spread is that of the mean
    age of the runs that are there (issued [forecasters] or [n, forecasters], valid [n], in us)."""
    there = np.isfinite(value)
    lead = np.where(there, valid[:, None] - np.nan_to_num(issued), 0.0).sum(axis=1) / HOUR
    spread = default_spread(series, lead / np.maximum(there.sum(axis=1), 1))
    mean = mean_of(value)
    return Prediction(mean, mean[:, None] + spread[:, None] * NORMAL)
