"""The features of a forecast situation: one code for training, backtest and serving."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from skyblend.predict.blend.columns import DAY, HOUR, Flags, Floats, Ints
from skyblend.predict.blend.evidence import Corrections

SLOW, FAST = 0, 1


@dataclass(frozen=True, slots=True)
class Situations:
    """What is known of some samples: each forecaster's newest value and its issue time (us) [n, forecasters], NaN where
    there is none; positions [n, 3]; times in us."""

    cycle: Ints
    valid: Ints
    position: Floats
    value: Floats
    issued: Floats


@dataclass(frozen=True, slots=True)
class Features:
    """Inputs of the linear model: the mean is `corrected` + location @ a, the log of the spread scale @ b. Lead and mean age
    of the runs in hours; `there` [n, forecasters]."""

    mean: Floats
    corrected: Floats
    there: Flags
    lead: Floats
    age: Floats
    location: Floats
    scale: Floats

    def take(self, rows: Ints) -> "Features":
        """The features of some samples."""
        each = (getattr(self, one.name)[rows] for one in fields(self))
        return Features(*each)


def mean_of(value: Floats) -> Floats:
    """The mean of the forecasters that are there [n], NaN where none is."""
    there = np.isfinite(value)
    count = there.sum(axis=1)
    total = np.where(there, value, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def corrected_mean(value: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The mean of the forecasters less their usual errors, and each one's deviation from it (0 where it is not there)."""
    better = value - errors
    mean = mean_of(better)
    return mean, np.where(np.isfinite(better), better - mean[:, None], 0.0)


def location_names(forecasters: Sequence[str]) -> tuple[str, ...]:
    """The features of the mean, in order."""
    each = [
        f"{what}:{name}" for what in ("deviation", "corrected", "there") for name in forecasters
    ]
    return (*_PLAIN, *each)


_PLAIN = (
    "one", "error_slow", "error_fast", "error_area_slow", "error_area_fast", "anomaly", "anomaly_area", "value", "spread",
    "lead", "hour_sin", "hour_cos", "hour2_sin", "hour2_cos", "season_sin", "season_cos", "latitude", "longitude",
    "elevation", "elevation_known", "own_history",
)  # fmt: skip
SCALE_NAMES = (
    "one", "scale_slow", "scale_fast", "scale_area", "spread", "corrected_spread", "lead", "age", "there", "hour_sin",
    "hour_cos", "season_sin", "season_cos", "own_history", "elevation", "error_gap",
)  # fmt: skip


def features(at: Situations, known: Corrections, *, instant: bool) -> Features:
    """All features of `at`, given the errors known at its cycles."""
    count = at.value.shape[1]
    there = np.isfinite(at.value)
    mean = mean_of(at.value)
    deviation = np.where(there, at.value - mean[:, None], 0.0)
    corrected, corrected_deviation = corrected_mean(at.value, known.own[:, SLOW, :count])
    number = there.sum(axis=1)
    spread, corrected_spread = _spread(deviation, number), _spread(corrected_deviation, number)
    lead = (at.valid - at.cycle) / HOUR
    age = _age(at, there, number)
    hour, season = _hour(at.valid) if instant else np.zeros(len(mean)), _season(at.valid)
    turns = [
        np.sin(hour),
        np.cos(hour),
        np.sin(2 * hour),
        np.cos(2 * hour),
        np.sin(season),
        np.cos(season),
    ]
    own = np.log1p(known.weight[:, SLOW, count])
    high = np.nan_to_num(at.position[:, 2], nan=0.0)
    errors, area = known.own[:, :, count], known.area[:, :, count]
    usual, usual_area = known.own[:, SLOW, count + 1], known.area[:, SLOW, count + 1]
    location = np.column_stack([
        np.ones(len(mean)), errors[:, SLOW], errors[:, FAST], area[:, SLOW], area[:, FAST], corrected - usual,
        corrected - usual_area, corrected, corrected_spread, lead, *turns, np.nan_to_num(at.position[:, 0]),
        np.nan_to_num(at.position[:, 1]), high, np.isfinite(at.position[:, 2]), own, deviation, corrected_deviation, there,
    ])  # fmt: skip
    sizes = np.log(np.maximum(known.own[:, :, count + 2], 0.05))
    size_area = np.log(np.maximum(known.area[:, SLOW, count + 2], 0.05))
    scale = np.column_stack([
        np.ones(len(mean)), sizes[:, SLOW], sizes[:, FAST], size_area, np.log(spread + 0.3), np.log(corrected_spread + 0.3),
        np.log1p(lead), np.log1p(age), np.log(np.maximum(number, 1)), turns[0], turns[1], turns[4], turns[5], own, high,
        np.log(np.abs(errors[:, FAST] - errors[:, SLOW]) + 0.3),
    ])  # fmt: skip
    return Features(mean, corrected, there, lead, age, location, scale)


def _spread(deviation: Floats, number: Ints) -> Floats:
    return np.sqrt((deviation**2).sum(axis=1) / np.maximum(number, 1))


def _age(at: Situations, there: np.ndarray, number: Ints) -> Floats:
    """Mean age in hours of the runs that are there."""
    age = np.where(there, at.cycle[:, None] - np.nan_to_num(at.issued), 0.0).sum(axis=1) / HOUR
    return np.maximum(age / np.maximum(number, 1), 0.0)


def _hour(valid: Ints) -> Floats:
    return 2 * np.pi * (valid % DAY) / DAY


def _season(valid: Ints) -> Floats:
    return 2 * np.pi * valid / (365.2425 * DAY)
