"""Scores on days after the training: a model, a rival and the plain mean on the same cases."""

from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.calibrated import Calibrated, Prediction
from skyblend.predict.blend.columns import DAY, HOUR, Floats, History, Ints
from skyblend.predict.blend.levels import NORMAL
from skyblend.predict.blend.lookup import Truth
from skyblend.predict.blend.series import LEVELS
from skyblend.predict.blend.walk import Walked
from skyblend.predict.train.history import ANALYSIS, STATION
from skyblend.weather.scores import crps_quantiles

_ROBUST = 1.4826  # standard deviations of a Gaussian in a median absolute deviation
_LEAST_SPREAD = 0.1


@dataclass(frozen=True, slots=True)
class Cases:
    """Samples with cycles in the window and an observation: rows of the walk, the observation,
    day of the valid time."""

    rows: Ints
    observed: Floats
    day: Ints
    against: str


def cases(history: History, walked: Walked, truth: Truth, *, after: int, until: int) -> Cases:
    """What can be scored: observed at stations where any place is, else at those with an
    analysis; never both."""
    samples = walked.samples
    rows = np.flatnonzero((samples.cycle > after) & (samples.cycle <= until))
    observed = truth.at(samples.take(rows), until)
    kinds = np.array([history.against.get(place, "") for place in history.places])[
        samples.place[rows]
    ]
    good = np.isfinite(observed) & np.isfinite(walked.features.mean[rows])
    against = STATION if (good & (kinds == STATION)).any() else ANALYSIS
    good &= kinds == against
    return Cases(rows[good], observed[good], samples.valid[rows][good] // DAY, against)


def crps(prediction: Prediction, observed: Floats) -> Floats:
    """CRPS of each case, by the 19 quantiles."""
    return crps_quantiles(prediction.quantiles, observed, levels=LEVELS)


def by_model(model: Calibrated, walked: Walked, rows: Ints) -> Prediction:
    """What the model says of some samples."""
    return model.predict(walked.features.take(rows))


def by_mean(walked: Walked, truth: Truth, rows: Ints, cut: int) -> Prediction:
    """The plain mean of the forecasters, with the spread that its errors had up to `cut` for
    leads of the same day."""
    samples, mean = walked.samples, walked.features.mean
    past = np.flatnonzero(samples.cycle <= cut)
    error = np.abs(truth.at(samples.take(past), cut) - mean[past])
    known = np.isfinite(error)
    then, now = _lead_days(walked, past[known]), _lead_days(walked, rows)
    spread = np.full(len(rows), _spread(error[known]))
    for lead in np.unique(now):
        if (then == lead).any():
            spread[now == lead] = _spread(error[known][then == lead])
    centre = mean[rows]
    return Prediction(centre, centre[:, None] + spread[:, None] * NORMAL)


def _lead_days(walked: Walked, rows: Ints) -> Ints:
    samples = walked.samples
    return np.asarray((samples.valid[rows] - samples.cycle[rows] + 6 * HOUR) // DAY)


def _spread(error: Floats) -> float:
    return max(_ROBUST * float(np.median(error)), _LEAST_SPREAD) if len(error) else 1.0
