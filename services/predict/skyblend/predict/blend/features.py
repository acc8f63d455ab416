"""The features of a forecast situation: one code for training, backtest and serving."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np
from skyblend.predict.blend.columns import DAY, HOUR, Flags, Floats, Ints
from skyblend.predict.blend.evidence import Corrections

SLOW, FAST = 0, 1


@dataclass(frozen=True, slots=True)
class Situations:
    """What is known of some samples: each forecaster's newest value and its issue time (us) [n,
    forecasters], NaN where there is none; positions [n, 3]; times in us."""

    cycle: Ints
    valid: Ints
    position: Floats
    value: Floats
    issued: Floats

    def take(self, rows: Ints) -> "Situations":
        """Some of the samples."""
        each = (getattr(self, one.name)[rows] for one in fields(self))
        return Situations(*each)


@dataclass(frozen=True, slots=True)
class Features:
    """Inputs of the linear model: the mean is `corrected` + location @ a, the log of the spread
    scale @ b. Lead and mean age of the runs in hours; `there` [n, forecasters]."""

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

    def joined(self, others: "Features") -> "Features":
        """These samples, then the others."""
        names = (one.name for one in fields(self))
        each = (np.concatenate([getattr(self, name), getattr(others, name)]) for name in names)
        return Features(*each)


def mean_of(value: Floats) -> Floats:
    """The mean of the forecasters that are there [n], NaN where none is."""
    there = np.isfinite(value)
    count = there.sum(axis=1)
    total = np.where(there, value, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def corrected_mean(value: Floats, errors: Floats) -> tuple[Floats, Floats]:
    """The mean of the forecasters less their usual errors, and each one's deviation from it (0
    where it is not there)."""
    better = value - errors
    mean = mean_of(better)
    return mean, np.where(np.isfinite(better), better - mean[:, None], 0.0)


_LOCATION = (
    *("one", "error_slow", "error_fast", "error_area_slow", "error_area_fast"),
    *("anomaly", "anomaly_lead", "anomaly_area", "value", "spread", "lead"),
    *("hour_sin", "hour_cos", "hour2_sin", "hour2_cos", "season_sin", "season_cos"),
    *("latitude", "longitude", "elevation", "elevation_known", "own_history", "stranger"),
)
SCALE_NAMES = (
    *("one", "size_slow", "size_fast", "size_area", "log_spread_raw", "log_spread"),
    *(
        "log_lead",
        "lead",
        "log_age",
        "log_number",
        "hour_sin",
        "hour_cos",
        "season_sin",
        "season_cos",
    ),
    *("own_history", "stranger", "elevation", "error_gap"),
)


# Features that vary from place to place but hardly at one: with few places their coefficients could
# be no more than names of the places (a neighbourhood without the place itself tells on it, too).
BETWEEN_PLACES = (
    *("error_area_slow", "error_area_fast", "anomaly_area", "size_area"),
    *("latitude", "longitude", "elevation", "elevation_known"),
)
BETWEEN_MONTHS = ("season_sin", "season_cos")


def location_names(forecasters: Sequence[str]) -> tuple[str, ...]:
    """The features of the mean, in order."""
    each = (
        f"{what}:{name}" for what in ("deviation", "corrected", "there") for name in forecasters
    )
    return (*_LOCATION, *each)


def features(at: Situations, known: Corrections, *, instant: bool) -> Features:
    """All features of `at`, given the errors known at its cycles."""
    count = at.value.shape[1]
    there, mean = np.isfinite(at.value), mean_of(at.value)
    number = there.sum(axis=1)
    deviation = np.where(there, at.value - mean[:, None], 0.0)
    corrected, remaining = corrected_mean(at.value, known.own[:, SLOW, :count])
    lead, age = (at.valid - at.cycle) / HOUR, _age(at, there, number)
    spread = _spread(remaining, number)
    shared = _turns(at.valid, instant=instant) | _about_place(at, known)
    location = shared | _errors(known, corrected, count)
    location |= {"value": corrected, "spread": spread, "lead": lead}
    # The further ahead, the less of what is unusual comes true: its share may change with lead.
    location["anomaly_lead"] = location["anomaly"] * lead
    scale = shared | _sizes(known, count)
    scale |= {
        "log_spread_raw": np.log(_spread(deviation, number) + _SOME),
        "log_spread": np.log(spread + _SOME),
        "log_lead": np.log1p(lead),
        "lead": lead,
        "log_age": np.log1p(age),
        "log_number": np.log(np.maximum(number, 1)),
    }
    columns = [location[name] for name in _LOCATION]
    return Features(
        mean,
        corrected,
        there,
        lead,
        age,
        np.column_stack([*columns, deviation, remaining, there]),
        np.column_stack([scale[name] for name in SCALE_NAMES]),
    )


_Columns = dict[str, Floats]
_SOME, _LEAST = (
    0.3,
    0.05,
)  # in the variable's unit: keep logarithms finite and small differences small


def _turns(valid: Ints, *, instant: bool) -> _Columns:
    """Time of day (instants only) and of year as points on circles."""
    hour = 2 * np.pi * (valid % DAY) / DAY if instant else np.zeros(len(valid))
    season = 2 * np.pi * valid / (365.2425 * DAY)
    angles = {"hour": hour, "hour2": 2 * hour, "season": season}
    sines = {f"{name}_sin": np.sin(angle) for name, angle in angles.items()}
    return sines | {f"{name}_cos": np.cos(angle) for name, angle in angles.items()}


def _about_place(at: Situations, known: Corrections) -> _Columns:
    pairs = known.weight[:, SLOW, at.value.shape[1]]
    position = np.nan_to_num(at.position)
    return {
        "one": np.ones(len(position)),
        "latitude": position[:, 0],
        "longitude": position[:, 1],
        "elevation": position[:, 2],
        "elevation_known": np.isfinite(at.position[:, 2]) * 1.0,
        "own_history": np.log1p(pairs),
        "stranger": 1 / (1 + pairs),
    }


def _errors(known: Corrections, corrected: Floats, count: int) -> _Columns:
    """Past errors of the mean, and how unusual the forecast is."""
    errors, area = known.own[:, :, count], known.area[:, :, count]
    return {
        "error_slow": errors[:, SLOW],
        "error_fast": errors[:, FAST],
        "error_area_slow": area[:, SLOW],
        "error_area_fast": area[:, FAST],
        "anomaly": corrected - known.own[:, SLOW, count + 1],
        "anomaly_area": corrected - known.area[:, SLOW, count + 1],
    }


def _sizes(known: Corrections, count: int) -> _Columns:
    """Logarithms of past sizes of errors, and how much errors changed of late."""
    own, area = (
        np.log(np.maximum(each[:, :, count + 2], _LEAST)) for each in (known.own, known.area)
    )
    gap = known.own[:, FAST, count] - known.own[:, SLOW, count]
    return {
        "size_slow": own[:, SLOW],
        "size_fast": own[:, FAST],
        "size_area": area[:, SLOW],
        "error_gap": np.log(np.abs(gap) + _SOME),
    }


def _spread(deviation: Floats, number: Ints) -> Floats:
    """Standard deviation among the forecasters, NaN where fewer than two are there."""
    spread = np.sqrt((deviation**2).sum(axis=1) / np.maximum(number - 1, 1))
    return np.where(number > 1, spread, np.nan)


def _age(at: Situations, there: Flags, number: Ints) -> Floats:
    """Mean age in hours of the runs that are there."""
    age = np.where(there, at.cycle[:, None] - np.nan_to_num(at.issued), 0.0).sum(axis=1) / HOUR
    return np.asarray(np.maximum(age / np.maximum(number, 1), 0.0))
