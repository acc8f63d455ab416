"""Whether a candidate may replace what serves now: only if it was better on days after its
training, and not by chance."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.columns import Floats, Ints

FEWEST_DAYS, FEWEST_ROWS = 3, 30
SEED = 20_040_128
_RESAMPLES, _BLOCK_DAYS = 2000, 2
_LEAST_GAIN = 0.001  # of the rival's score: less is rounding, not skill


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

    Differences are averaged by day and the days resampled in blocks of two (Kunsch 1989): cases
    of one day share their weather. A window of few days, few rows or observations that never
    change decides nothing.
    """
    if (refusal := _degenerate(candidate, day, observed)) is not None:
        return Verdict(False, refusal, {})
    confidence = {
        name: better_in_resamples(_daily(candidate - scores, day))
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


def better_in_resamples(daily: Floats) -> float:
    """Share of circular block resamples of the days whose mean difference is below 0."""
    days = len(daily)
    blocks = -(-days // _BLOCK_DAYS)
    start = np.random.default_rng(SEED).integers(0, days, (_RESAMPLES, blocks))
    rows = (start[:, :, None] + np.arange(_BLOCK_DAYS)) % days
    means = daily[rows.reshape(_RESAMPLES, -1)[:, :days]].mean(axis=1)
    return float((means < 0).mean())
