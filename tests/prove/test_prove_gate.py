"""The gate of models: equal models are rarely promoted, a better one is, and a poor window none."""

import numpy as np
from skyblend.predict.blend.columns import Floats, Ints
from skyblend.predict.train.candidate import CHAMPION, CONFIDENCE, MEAN
from skyblend.predict.train.gate import Verdict, judge
from skyblend.weather.scores import crps_gaussian

SEED = 1995
PLACES, HOURS = 6, 24
PAIRS, MOST = 200, 10
Random = np.random.Generator


def window(rng: Random, days: int) -> tuple[Ints, Floats, Floats]:
    """Day, observation, and an error that all models of the window share."""
    day = np.repeat(np.arange(days), PLACES * HOURS)
    return day, rng.normal(8, 5, len(day)), rng.normal(0, 1, days)[day]


def scores(rng: Random, observed: Floats, shared: Floats, day: Ints, *, own: float) -> Floats:
    """CRPS of a model with an error of its own of this size: one of the day, of which half comes
    again the next day, and one of each case."""
    daily = rng.normal(0, 0.8 * own, int(day.max()) + 1)
    for later in range(1, len(daily)):
        daily[later] = 0.5 * daily[later - 1] + np.sqrt(0.75) * daily[later]
    error = shared + daily[day] + rng.normal(0, 1.2 * own, len(day))
    return crps_gaussian(observed + error, 1.5, observed)


def judged(rng: Random, days: int, *, own: float = 1.0) -> Verdict:
    """The gate on a candidate, a champion, and a mean that both of them beat."""
    day, observed, shared = window(rng, days)
    candidate, champion, mean = (
        scores(rng, observed, shared, day, own=each) for each in (own, 1.0, 4.0)
    )
    rivals = {CHAMPION: (champion, CONFIDENCE[CHAMPION]), MEAN: (mean, CONFIDENCE[MEAN])}
    return judge(candidate, rivals, day=day, observed=observed)


def test_of_two_hundred_pairs_of_equal_models_few_are_promoted(proof):
    for days in (3, 6, 10):
        with proof(f"gate: equal models, {days} days", allowed=MOST) as one:
            for pair in range(PAIRS):
                verdict = judged(np.random.default_rng((SEED, days, pair)), days)
                one.cases += 1
                one.failures += [f"pair {pair}: {verdict.reason}"] if verdict.passed else []
            one.notes.append(f"failures are promotions, {MOST} allowed")


def test_a_model_that_is_clearly_better_is_promoted(proof):
    with proof("gate: clearly better models, 10 days", allowed=40) as one:
        for pair in range(PAIRS):
            verdict = judged(np.random.default_rng((SEED, 1, pair)), 10, own=0.3)
            one.cases += 1
            one.failures += [] if verdict.passed else [f"pair {pair}: {verdict.reason}"]
        one.notes.append("failures are refusals, 40 allowed")


def test_a_window_that_cannot_judge_promotes_nothing(proof):
    """Few days, few cases, observations that never change, scores or observations that are missing,
    nobody to compare with the same cases."""
    with proof("gate: degenerate windows") as one:
        for number in range(one.size(2_000)):
            rng = np.random.default_rng((SEED, 2, number))
            day, observed, _ = window(rng, int(rng.integers(4, 11)))
            better, worse = np.full(len(day), 0.1), np.full(len(day), 1.0)
            rows = np.arange(len(day))
            match number % 5:
                case 0:
                    rows = np.flatnonzero(day < rng.integers(0, 3))
                case 1:
                    rows = np.sort(rng.choice(len(day), int(rng.integers(0, 30)), replace=False))
                case 2:
                    observed = np.full(len(day), float(rng.normal()))
                case 3:
                    better[rng.integers(0, len(day))] = rng.choice([np.nan, -np.inf, np.inf])
                case 4:
                    worse[rng.integers(0, len(day))] = np.nan
            rivals = {CHAMPION: (worse[rows], CONFIDENCE[CHAMPION])}
            verdict = judge(better[rows], rivals, day=day[rows], observed=observed[rows])
            one.cases += 1
            if verdict.passed or not verdict.reason:
                one.failures.append(f"window {number}, kind {number % 5}: {verdict}")
