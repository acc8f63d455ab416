"""The default model: mean and log spread linear in the features, with calibrated quantile levels.

Non-homogeneous regression in the manner of EMOS (Gneiting et al. 2005,
https://doi.org/10.1175/MWR2904.1), with the place's own past errors among the predictors. Both
parts are ridge regressions on standardised features, fitted alternately: the mean by weighted
least squares with Huber weights, the spread by a log-linear quasi-likelihood of the absolute
residual.
"""

from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.columns import Floats
from skyblend.predict.blend.features import Features

_ROUNDS = 3
_BOUND = 6.0
_HUBER = 2.0
_NO_PENALTY = 1e-6  # enough to solve by
_MEAN_ABSOLUTE = np.sqrt(2 / np.pi)  # E|z| of a standard Gaussian


@dataclass(frozen=True, slots=True)
class Scaling:
    """How features are standardised; a feature that did not vary in training has width 0 and no
    effect."""

    centre: Floats
    width: Floats

    @classmethod
    def of(cls, features: Floats) -> "Scaling":
        there = np.isfinite(features)
        count = np.maximum(there.sum(axis=0), 1)
        centre = np.where(there, features, 0.0).sum(axis=0) / count
        width = np.sqrt((np.where(there, features - centre, 0.0) ** 2).sum(axis=0) / count)
        still = width < 1e-6 * np.maximum(np.abs(centre), 1.0)
        return cls(centre, np.where(still, 0.0, width))

    def apply(self, features: Floats) -> Floats:
        """Standardised features, bounded, with the first (the constant) as it is."""
        inverse = np.where(self.width > 0, 1 / np.where(self.width > 0, self.width, 1.0), 0.0)
        scaled = np.clip(np.nan_to_num((features - self.centre) * inverse), -_BOUND, _BOUND)
        scaled[:, 0] = 1.0
        return scaled


@dataclass(frozen=True, slots=True)
class Linear:
    """Coefficients of the mean's correction and of the log spread."""

    location_scaling: Scaling
    scale_scaling: Scaling
    location: Floats
    scale: Floats

    def predict(self, features: Features) -> tuple[Floats, Floats]:
        """Mean and standard deviation [n]."""
        mean = features.corrected + self.location_scaling.apply(features.location) @ self.location
        spread = np.exp(np.clip(self.scale_scaling.apply(features.scale) @ self.scale, -4.0, 4.0))
        return mean, spread


def fit(
    features: Features, observed: Floats, weight: Floats, *, ridge: Floats, ridge_scale: Floats
) -> Linear:
    """The model of the samples with an observation; `weight` [n] is each one's say, `ridge` and
    `ridge_scale` the penalties of the standardised features (the constant has none)."""
    rows = np.isfinite(observed) & np.isfinite(features.corrected)
    locations, scales = Scaling.of(features.location[rows]), Scaling.of(features.scale[rows])
    x, z = locations.apply(features.location[rows]), scales.apply(features.scale[rows])
    target, share = (observed - features.corrected)[rows], weight[rows]
    spread = np.full(len(target), max(np.median(np.abs(target)) / _MEAN_ABSOLUTE / 0.85, 0.1))
    a, b = np.zeros(x.shape[1]), np.zeros(z.shape[1])
    b[0] = np.log(spread[0])
    for _ in range(_ROUNDS):
        standard = np.abs(target - x @ a) / spread
        robust = np.minimum(1.0, _HUBER / np.maximum(standard, 1e-9))
        a = _solved(x, target, share * robust / spread**2 * np.mean(spread**2), ridge)
        b = _log_linear(z, np.abs(target - x @ a), share, b, ridge_scale)
        spread = np.exp(np.clip(z @ b, -4.0, 4.0))
    return Linear(locations, scales, a, b)


def _penalty(ridge: Floats) -> Floats:
    diagonal = ridge.copy()
    diagonal[0] = _NO_PENALTY
    return np.diag(diagonal)


def _solved(x: Floats, target: Floats, weight: Floats, ridge: Floats) -> Floats:
    weighted = x * weight[:, None]
    solved = np.linalg.solve(weighted.T @ x + _penalty(ridge), weighted.T @ target)
    return np.asarray(solved, dtype=np.float64)


def _log_linear(z: Floats, size: Floats, share: Floats, start: Floats, ridge: Floats) -> Floats:
    """Coefficients b of exp(z @ b) so that |residual| / exp(z @ b) has the mean of a Gaussian's;
    gross errors bounded."""
    weighted = z * share[:, None]
    inverse = np.linalg.inv(weighted.T @ z + _penalty(ridge))
    b = start.copy()
    keep = np.diag(_penalty(ridge))
    for _ in range(8):
        ratio = np.minimum(size / np.exp(np.clip(z @ b, -4.0, 4.0)), 4.0) / _MEAN_ABSOLUTE
        b = b + inverse @ (weighted.T @ (ratio - 1.0) - keep * b)
    return b
