"""The verdicts that training, export and the quarantine list share.

A place is held to the observations of one kind and one source: those that its forecasts are
verified against. Others are neither judged nor heard, since nothing is learnt from them.
"""

from dataclasses import dataclass

import numpy as np
from skyblend.weather.quality.cases import Cases, Mask, Verdict
from skyblend.weather.quality.context import check_context
from skyblend.weather.variables import BY_NAME


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The verdicts on each forecast and each observation; `chosen` are the observations that
    count."""

    forecasts: Verdict
    observations: Verdict
    chosen: Mask


def judge(variable: str, *, forecasts: Cases, observations: Cases, analysis: Mask) -> Judged:
    """The verdicts of `check_context` with the observations that count.

    The values of `forecasts` and `observations` are NaN where a check of the payload flagged them;
    forecasts of an ensemble's members are left out by the caller. `analysis` marks the observations
    of that kind.
    """
    chosen = _chosen(observations, analysis)
    rows = np.flatnonzero(chosen)
    told, seen = check_context(variable, forecasts=forecasts, observations=observations.take(rows))
    verdict = Verdict(
        variable=variable,
        unit=BY_NAME[variable].unit,
        value=observations.value,
        check=np.zeros(observations.size, np.int8),
        low=np.full(observations.size, np.nan),
        high=np.full(observations.size, np.nan),
    )
    verdict.check[rows], verdict.low[rows], verdict.high[rows] = seen.check, seen.low, seen.high
    return Judged(forecasts=told, observations=verdict, chosen=chosen)


def _chosen(rows: Cases, analysis: Mask) -> Mask:
    """The observations of one kind and source for each place and period: of stations and users
    where there are any, else of analysis. Of several sources the one with most values, and of
    equals the one with the lowest code."""
    group = np.unique(np.stack([rows.place, rows.period]), axis=1, return_inverse=True)[1].ravel()
    source = rows.forecaster.astype(np.int64)
    groups, sources = int(group.max(initial=-1)) + 1, int(source.max(initial=0)) + 1
    count = np.zeros((groups, 2, sources), np.int64)
    there = np.isfinite(rows.value)
    np.add.at(count, (group[there], analysis[there].astype(np.int64), source[there]), 1)
    kind = (count[:, 0].sum(axis=1) == 0).astype(np.int64)
    best = count[np.arange(groups), kind].argmax(axis=1)
    return np.asarray((kind[group] == analysis) & (best[group] == source))
