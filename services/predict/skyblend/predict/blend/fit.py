"""Fits the model of a series as of a time: coefficients on all that was known, levels on forecasts
made out of sample.

For the levels the model is fitted again as of earlier days, each fit forecasts the situations up
to the next one, and what was observed since is compared with them: the spread of a model is
judged only where the model had not been.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend import linear
from skyblend.predict.blend.calibrated import Calibrated, usual_age
from skyblend.predict.blend.columns import DAY, Flags, Floats, History, Ints
from skyblend.predict.blend.features import (
    BETWEEN_MONTHS,
    BETWEEN_PLACES,
    SCALE_NAMES,
    Features,
    location_names,
)
from skyblend.predict.blend.levels import NORMAL, calibrated
from skyblend.predict.blend.linear import Linear
from skyblend.predict.blend.lookup import Truth
from skyblend.predict.blend.walk import Walked

FEWEST_ROWS, FEWEST_DAYS = 40, 3
_MOST_ROWS, _MOST_ROWS_EARLIER, SEED = 50_000, 25_000, 2
_ORIGINS = 14
_WARM_UP_DAYS = 7
_RIDGE, _RIDGE_SCALE, _FEW = 1.0, 0.5, 3
_HALF_LIFE_DAYS = 40.0


@dataclass(frozen=True, slots=True)
class Fitted:
    """A fitted model with the rows and days that it and its levels rest on."""

    model: Calibrated
    rows: int
    days: int
    residuals: int


class Fitter:
    """Fits as of any time, and remembers the earlier fits that levels are judged on."""

    def __init__(self, history: History, walked: Walked, truth: Truth, learnt: Flags) -> None:
        self._series, self._forecasters = history.series, history.forecasters
        self._walked, self._truth = walked, truth
        self._rows = np.flatnonzero(learnt)
        self._earlier: dict[int, Linear | None] = {}

    def fit(self, cut: int) -> Fitted | None:
        """The model as of `cut`; None where there is too little to learn from."""
        rows, observed = self._learnable(cut, _MOST_ROWS)
        coefficients = self._coefficients(rows, observed, cut)
        if coefficients is None:
            return None
        levels, residuals = self._levels(cut)
        seen = self._walked.features.take(rows)
        model = Calibrated(
            self._series, coefficients, levels, usual_age(seen), seen.there.mean(axis=0)
        )
        days = len(np.unique(self._walked.samples.valid[rows] // DAY))
        return Fitted(model, len(rows), days, residuals)

    def _learnable(self, cut: int, most: int) -> tuple[Ints, Floats]:
        """Samples before `cut` that were observed by then, and what was observed."""
        samples = self._walked.samples
        rows = self._rows[: np.searchsorted(samples.cycle[self._rows], cut, side="right")]
        observed = self._truth.at(samples.take(rows), cut)
        good = np.flatnonzero(np.isfinite(observed) & np.isfinite(self._walked.features.mean[rows]))
        chosen = np.random.default_rng(SEED).random(len(good)) * len(good) < most
        good = good[chosen]
        return rows[good], observed[good]

    def _coefficients(self, rows: Ints, observed: Floats, cut: int) -> Linear | None:
        valid = self._walked.samples.valid[rows]
        days = len(np.unique(valid // DAY))
        if len(rows) < FEWEST_ROWS or days < FEWEST_DAYS or np.ptp(observed) == 0:
            return None
        weight = 0.5 ** ((cut - valid) / DAY / _HALF_LIFE_DAYS)
        strange, twice = self._strange(rows)
        return linear.fit(
            self._walked.features.take(rows).joined(strange),
            np.concatenate([observed, observed[twice]]),
            np.concatenate([weight, weight[twice]]),
            ridge=_RIDGE * self._penalties(location_names(self._forecasters), rows, weight),
            ridge_scale=_RIDGE_SCALE * self._penalties(SCALE_NAMES, rows, weight),
        )

    def _penalties(self, names: Sequence[str], rows: Ints, weight: Floats) -> Floats:
        """The weight of one independent case for each feature: a day; where the feature varies
        between places only, a few places; where it varies with the year only, a few months."""
        samples, total = self._walked.samples, float(weight.sum())
        valid = samples.valid[rows]
        day = total / len(np.unique(valid // DAY))
        place = max(day, _FEW * total / len(np.unique(samples.place[rows])))
        month = max(day, _FEW * total / (1 + np.ptp(valid) / (30 * DAY)))
        slow = dict.fromkeys(BETWEEN_PLACES, place) | dict.fromkeys(BETWEEN_MONTHS, month)
        return np.array([slow.get(name, day) for name in names])

    def _strange(self, rows: Ints) -> tuple[Features, Ints]:
        """Those of `rows` that are also learnt from as strangers: features, and which they are."""
        _, strangers, twice = np.intersect1d(
            self._walked.strangers, rows, assume_unique=True, return_indices=True
        )
        return self._walked.strange.take(strangers), twice

    def _levels(self, cut: int) -> tuple[Floats, int]:
        samples, parts, days = self._walked.samples, [], []
        origins = self._origins(cut)
        for origin, following in zip(origins, [*origins[1:], cut], strict=True):
            rows, mean, spread = self._forecast(origin, following)
            observed = self._truth.at(samples.take(rows), cut)
            parts.append((observed - mean) / spread)
            days.append(samples.valid[rows][np.isfinite(observed)] // DAY)
        if not parts:
            return NORMAL.copy(), 0
        residuals = np.concatenate(parts)
        count = int(np.isfinite(residuals).sum())
        return calibrated(residuals, len(np.unique(np.concatenate(days)))), count

    def _origins(self, cut: int) -> list[int]:
        """Midnights before `cut`, the oldest first, closer together where history is short."""
        if not len(self._rows):
            return []
        first = int(self._walked.samples.cycle[self._rows[0]])
        span = (cut - first) // DAY
        step = (1 if span < 60 else 3 if span < 150 else 7) * DAY
        last = (cut - 1) // step * step
        return [
            at
            for at in range(last - (_ORIGINS - 1) * step, cut, step)
            if at > first + _WARM_UP_DAYS * DAY
        ]

    def _forecast(self, origin: int, following: int) -> tuple[Ints, Floats, Floats]:
        """Forecasts, by the model as of `origin`, of the situations after it and up to
        `following`."""
        if origin not in self._earlier:
            self._earlier[origin] = self._coefficients(
                *self._learnable(origin, _MOST_ROWS_EARLIER), origin
            )
        model, cycle = self._earlier[origin], self._walked.samples.cycle[self._rows]
        rows = self._rows[
            np.searchsorted(cycle, origin, "right") : np.searchsorted(cycle, following, "right")
        ]
        if model is None or not len(rows):
            return rows[:0], np.zeros(0), np.ones(0)
        return rows, *model.predict(self._walked.features.take(rows))
