"""Whether a candidate may replace what serves now: only if it was better on days after its
training, and not by chance."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.columns import Floats, Ints

FEWEST_DAYS, FEWEST_ROWS = 3, 30
_LEAST_GAIN = 0.001  # of the rival's score: less is rounding, not skill
_ALIKE = 1e-9  # a standard error that is so small a part of the mean is rounding


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the candidate passed, why in words, and for each rival the confidence that the
    candidate is better."""

    passed: bool
    reason: str
    confidence: Mapping[str, float]


def judge(
    candidate: Floats,
    rivals: Mapping[str, tuple[Floats, float]],
    *,
    day: Ints,
    observed: Floats,
) -> Verdict:
    """Compare the scores [n] (smaller is better) of the same cases. `rivals` gives scores and the
    confidence asked.

    Differences are averaged by day, since cases of one day share their weather, and the days are
    tested. A window of few days, few rows or observations that never change decides nothing.
    """
    if (refusal := _degenerate(candidate, day, observed)) is not None:
        return Verdict(False, refusal, {})
    confidence = {
        name: confidence_below_zero(_daily(candidate - scores, day))
        for name, (scores, _) in rivals.items()
    }
    for name, (scores, asked) in rivals.items():
        if not candidate.mean() < (1 - _LEAST_GAIN) * scores.mean():
            return Verdict(
                False,
                f"not better than {name}: {candidate.mean():.3f} to {scores.mean():.3f}",
                confidence,
            )
        if confidence[name] < asked:
            reason = f"better than {name} with confidence {confidence[name]:.2f}, asked {asked:.2f}"
            return Verdict(False, reason, confidence)
    return Verdict(True, f"better than {', '.join(rivals)}", confidence)


def _degenerate(candidate: Floats, day: Ints, observed: Floats) -> str | None:
    days = len(np.unique(day))
    if days < FEWEST_DAYS:
        return f"too few days to judge: expected at least {FEWEST_DAYS}, got {days}"
    if len(candidate) < FEWEST_ROWS:
        return f"too few rows to judge: expected at least {FEWEST_ROWS}, got {len(candidate)}"
    if np.ptp(observed) == 0:
        return f"the observations never change: all are {observed[0]:g}"
    if not np.isfinite(candidate).all():
        return "the candidate's scores are not all finite"
    return None


def _daily(difference: Floats, day: Ints) -> Floats:
    """Mean difference of each day, in order."""
    days, number = np.unique(day, return_inverse=True)
    return np.bincount(number, difference, len(days)) / np.bincount(number, minlength=len(days))


def confidence_below_zero(daily: Floats) -> float:
    """The confidence that the expected difference is below 0, where a day may resemble the next.

    The test of Diebold and Mariano (1995), J. Bus. Econ. Stat. 13, 253-263, with one lag, which
    only ever widens, and the correction for few days of Harvey, Leybourne and Newbold (1997), Int.
    J. Forecast. 13, 281-291. Days that are all alike leave no doubt.
    """
    days, mean = len(daily), float(daily.mean())
    apart = daily - mean
    lagged = max(float(apart[1:] @ apart[:-1]), 0.0)
    variance = (float(apart @ apart) + 2 * lagged) / days / (days - 3 + 2 / days)
    if variance <= (_ALIKE * mean) ** 2:
        return float(mean < 0)
    return student(-mean / math.sqrt(variance), days - 1)


def student(t: float, freedom: int) -> float:
    """Probability of less than `t` in Student's distribution, for whole degrees of freedom.

    Abramowitz and Stegun (1964), 26.7.3 and 26.7.4.
    """
    angle = math.atan(t / math.sqrt(freedom))
    odd = freedom % 2
    term, total = (math.cos(angle) if odd else 1.0), 0.0
    for step in range(1 + odd, freedom, 2):
        total += term
        term *= step / (step + 1) * math.cos(angle) ** 2
    inside = math.sin(angle) * total
    return 0.5 + 0.5 * ((angle + inside) * 2 / math.pi if odd else inside)
