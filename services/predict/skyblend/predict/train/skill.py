"""How good each source and the blend were lately: what the page shows."""

from collections.abc import Callable

import numpy as np
from skyblend.predict.blend.calibrated import Prediction
from skyblend.predict.blend.columns import Flags, Floats, History
from skyblend.predict.blend.walk import Walked
from skyblend.predict.train.evaluate import Cases, crps

_SHORT_HOURS = 30
_LOW, _HIGH = 1, 17  # 10 % and 90 % among the levels

Scores = dict[str, float | int]


def skill(
    history: History, walked: Walked, scored: Cases, *, blend: Prediction, mean: Prediction
) -> dict[str, object]:
    """Scores for the leads up to 30 hours (all, where there are no such): overall and for each
    place.

    `blend` and `mean` forecast the rows of `scored`, none of which they were trained on.
    """
    lead = walked.features.lead[scored.rows]
    chosen = lead <= _SHORT_HOURS if (lead <= _SHORT_HOURS).any() else np.ones(len(lead), np.bool_)
    place = walked.samples.place[scored.rows]

    def about(rows: Flags) -> dict[str, object]:
        return {
            "blend": _quantile_scores(blend, scored.observed, rows),
            "mean": _quantile_scores(mean, scored.observed, rows),
            "sources": _sources(history, walked, scored, rows),
        }

    places = {
        history.places[code]: about(chosen & (place == code)) for code in np.unique(place[chosen])
    }
    span = np.ptp(scored.day) + 1 if len(scored.day) else 0
    return {
        "against": scored.against,
        "window_days": int(span),
        "longest_lead_hours": round(float(lead[chosen].max()), 1) if chosen.any() else 0,
        **about(chosen),
        "places": places,
    }


def _quantile_scores(forecast: Prediction, observed: Floats, rows: Flags) -> Scores:
    some = Prediction(forecast.mean[rows], forecast.quantiles[rows])
    seen = observed[rows]
    inside = (some.quantiles[:, _LOW] <= seen) & (seen <= some.quantiles[:, _HIGH])
    return _rounded(
        {
            "crps": lambda: crps(some, seen).mean(),
            "mae": lambda: np.abs(some.mean - seen).mean(),
            "coverage80": inside.mean,
        },
        len(seen),
    )


def _sources(history: History, walked: Walked, scored: Cases, rows: Flags) -> dict[str, Scores]:
    error = walked.situations.value[scored.rows[rows]] - scored.observed[rows][:, None]
    found = {}
    for number, name in enumerate(history.forecasters):
        own = error[:, number][np.isfinite(error[:, number])]
        found[name] = _rounded({"mae": np.abs(own).mean, "bias": own.mean}, len(own))
    return found


def _rounded(scores: dict[str, Callable[[], float]], number: int) -> Scores:
    """The scores of some cases and their number; no score without a case."""
    if not number:
        return {"n": 0}
    return {name: round(float(score()), 4) for name, score in scores.items()} | {"n": number}
