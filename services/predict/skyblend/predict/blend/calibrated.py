"""The model of a series as it is served: linear mean and spread, calibrated levels, and honest
widening.

Widening: a forecast from runs older than usual gets the spread of their true age, by the default
spreads; a forecast that lacks forecasters which are usually there gets a stated share more.
"""

from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.columns import Floats
from skyblend.predict.blend.features import Features
from skyblend.predict.blend.linear import Linear
from skyblend.predict.blend.series import Series, default_spread

ABSENCE = 0.3  # share of spread more where all usual forecasters but none are there


@dataclass(frozen=True, slots=True)
class Prediction:
    """Mean [n] and quantiles [n, LEVELS], in the variable's unit; NaN where no forecaster is
    there."""

    mean: Floats
    quantiles: Floats


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`usual_age` in hours is what nearly all runs were younger than; `presence` how often each
    forecaster was there."""

    series: Series
    linear: Linear
    levels: Floats
    usual_age: float
    presence: Floats

    def predict(self, features: Features) -> Prediction:
        """Mean and quantiles of some situations."""
        mean, spread = self.linear.predict(features)
        spread = spread * self._widening(features)
        quantiles = mean[:, None] + spread[:, None] * self.levels
        return Prediction(mean, np.maximum.accumulate(quantiles, axis=1))

    def _widening(self, features: Features) -> Floats:
        late = np.maximum(features.age - self.usual_age, 0.0)
        now, then = (default_spread(self.series, features.lead + more) for more in (0.0, late))
        absent = (~features.there * self.presence).sum(axis=1) / max(self.presence.sum(), 1e-9)
        return np.asarray(then / now * (1 + ABSENCE * absent))


def usual_age(features: Features) -> float:
    """The age in hours that 98 % of the situations do not exceed."""
    return float(np.quantile(features.age, 0.98)) if len(features.age) else 0.0
