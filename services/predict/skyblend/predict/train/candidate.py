"""One series from history to verdict: fit on the older part, compare on the newer part, say what
should serve."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from skyblend.predict.blend.calibrated import Prediction
from skyblend.predict.blend.columns import DAY, Floats, History
from skyblend.predict.blend.fit import Fitted, Fitter
from skyblend.predict.blend.lookup import Samples, Truth, learning_samples
from skyblend.predict.blend.model import Model
from skyblend.predict.blend.standing import Standing
from skyblend.predict.blend.walk import Walked, walk
from skyblend.predict.train.evaluate import Cases, by_mean, cases, crps
from skyblend.predict.train.gate import Verdict, judge

# Days after the training that decide: a fifth of the history, within these bounds.
_WINDOW_SHARE, _FEWEST_DAYS, _MOST_DAYS = 5, 3, 10
CANDIDATE, CHAMPION, MEAN = "candidate", "champion", "mean"
# One of twenty models that are no better than the champion may pass by chance; the mean is what
# serves where nothing else does, and with little history a wider gate is worth it.
CONFIDENCE = {CHAMPION: 0.95, MEAN: 0.9}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The newer part: its cases, and what each of CANDIDATE, CHAMPION and MEAN says of them, as
    far as they exist."""

    scored: Cases
    forecasts: Mapping[str, Prediction]

    def crps(self) -> dict[str, Floats]:
        return {name: crps(one, self.scored.observed) for name, one in self.forecasts.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The outcome for a series. `model` should serve from now on and is None where nothing
    changes; `promoted` tells whether it is the candidate, else it is the champion with the state
    of `at`. Times in us."""

    history: History
    walked: Walked
    window: Window
    verdict: Verdict
    fitted: Fitted | None
    model: Model | None
    promoted: bool
    cut: int
    at: int

    @property
    def serving(self) -> str:
        """Whose forecasts of the window are those of the model that serves."""
        known = self.window.forecasts
        return CANDIDATE if self.promoted else CHAMPION if CHAMPION in known else MEAN


def train_series(history: History, champion: Model | None, *, at: int) -> Trained:
    """Learn from what was known at the cut and judge by what came up to `at`; `history` is as of
    `at` (us)."""
    truth, samples = Truth(history.observations), learning_samples(history.forecasts)
    walked = _walked(history, samples, truth, at)
    cut = _cut(samples, at, champion)
    fitted = Fitter(history, walked, truth, np.ones(len(samples), dtype=np.bool_)).fit(cut)
    scored = cases(history, walked, truth, after=cut, until=at)
    forecasts = {MEAN: by_mean(walked, truth, scored.rows, cut)}
    if fitted is not None:
        forecasts[CANDIDATE] = fitted.model.predict(walked.features.take(scored.rows))
    theirs = _champions_walk(champion, history, walked, truth, at)
    if champion is not None:
        forecasts[CHAMPION] = champion.calibrated.predict(theirs.features.take(scored.rows))
    window = Window(scored=scored, forecasts=forecasts)
    verdict = _verdict(window)
    model = None
    if verdict.passed and fitted is not None:
        model = _new(fitted, history, walked, cut=cut, at=at)
    elif champion is not None and _is_worth_refreshing(champion, window, verdict, at):
        model = _refreshed(champion, history, theirs, at)
    return Trained(
        history=history,
        walked=walked,
        window=window,
        verdict=verdict,
        fitted=fitted,
        model=model,
        promoted=verdict.passed,
        cut=cut,
        at=at,
    )


def _walked(history: History, samples: Samples, truth: Truth, at: int) -> Walked:
    return walk(history, samples, learnt=np.ones(len(samples), np.bool_), truth=truth, until=at)


def _cut(samples: Samples, at: int, champion: Model | None) -> int:
    """The end of the training: a midnight, but never before the end of the champion's, which may
    not know the window."""
    span = int(at - samples.cycle[0]) // DAY if len(samples) else 0
    days = min(max(span // _WINDOW_SHARE, _FEWEST_DAYS), _MOST_DAYS)
    cut = (at // DAY - days) * DAY
    return max(cut, champion.learnt_to) if champion else cut


def _champions_walk(
    champion: Model | None, history: History, walked: Walked, truth: Truth, at: int
) -> Walked:
    """The same samples in the columns of the champion's forecasters."""
    if champion is None or champion.forecasters == history.forecasters:
        return walked
    number = {name: code for code, name in enumerate(champion.forecasters)}
    codes = np.array([number.get(name, -1) for name in history.forecasters], dtype=np.int64)
    told = history.forecasts
    told = replace(told, forecaster=codes[told.forecaster]) if len(codes) else told
    told = told.take(np.flatnonzero(told.forecaster >= 0))
    theirs = replace(history, forecasters=champion.forecasters, forecasts=told)
    return _walked(theirs, walked.samples, truth, at)


def _verdict(window: Window) -> Verdict:
    scores = window.crps()
    if CANDIDATE not in scores:
        return Verdict(False, "too little to learn from before the window", {})
    rivals = {name: (scores[name], asked) for name, asked in CONFIDENCE.items() if name in scores}
    scored = window.scored
    return judge(scores[CANDIDATE], rivals, day=scored.day, observed=scored.observed)


def _new(fitted: Fitted, history: History, walked: Walked, *, cut: int, at: int) -> Model:
    return Model(
        model_id="",
        series=history.series,
        forecasters=history.forecasters,
        places=history.places,
        position=history.position,
        calibrated=fitted.model,
        memory=walked.memory,
        prior=walked.prior,
        learnt_to=cut,
        state_at=at,
        standing=_standing(history, at),
    )


def _standing(history: History, at: int) -> Standing:
    return Standing.of(history.series, history.cases, history.forecasters, at=at)


def _is_worth_refreshing(champion: Model, window: Window, verdict: Verdict, at: int) -> bool:
    """Whether the champion should go on with the state of a later day: where the window could be
    judged at all, and it is still better than the mean."""
    if not verdict.confidence or at // DAY <= champion.state_at // DAY:
        return False
    scores = window.crps()
    return bool(scores[CHAMPION].mean() < scores[MEAN].mean())


def _refreshed(champion: Model, history: History, walked: Walked, at: int) -> Model:
    return replace(
        champion,
        model_id="",
        places=history.places,
        position=history.position,
        memory=walked.memory,
        prior=walked.prior,
        state_at=at,
        standing=_standing(history, at),
    )
