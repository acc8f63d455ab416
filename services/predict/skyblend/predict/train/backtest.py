"""Walks forward through history: at each cycle the forecasts that would have been issued, by
models that knew no more."""

import csv
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TextIO

import numpy as np
from skyblend.predict.blend.calibrated import Calibrated, Prediction
from skyblend.predict.blend.columns import DAY, Floats, History, Ints
from skyblend.predict.blend.default import default_blend
from skyblend.predict.blend.fit import Fitter
from skyblend.predict.blend.lookup import Samples, Truth, asked_samples, learning_samples
from skyblend.predict.blend.series import LEVELS
from skyblend.predict.blend.walk import Walked, walk
from skyblend.predict.train.history import histories
from skyblend.predict.train.threads import one_thread
from skyblend.runtime import places as configured
from skyblend.runtime.place import Runtime

HEADER = (
    "place_id",
    "issued_at",
    "valid_at",
    "variable",
    "mean",
    *(f"q{round(100 * p):02d}" for p in LEVELS),
)


@dataclass(frozen=True, slots=True)
class Holdout:
    """Places whose sha1 modulo `count` is `number` are forecast without their own history."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Holdout":
        """`N/K` with 0 <= N < K; raises ValueError."""
        number, _, count = text.partition("/")
        if not (number.isdigit() and count.isdigit() and int(number) < int(count)):
            raise ValueError(f"holdout: expected N/K with 0 <= N < K, got {text!r}")
        return cls(int(number), int(count))

    def holds(self, place_id: str) -> bool:
        return int(hashlib.sha1(place_id.encode()).hexdigest(), 16) % self.count == self.number  # noqa: S324 - no secret


@dataclass(frozen=True, slots=True)
class BacktestReport:
    """What a backtest wrote: rows, cycles, models fitted, and cycles that had no model and got
    the default spread."""

    rows: int
    cycles: int
    fits: int
    without_model: int


def backtest(
    runtime: Runtime,
    *,
    variable: str,
    first: date,
    last: date,
    out: Path,
    cycles: Sequence[time] = (),
    holdout: Holdout | None = None,
) -> BacktestReport:
    """Write a row for each cycle, place and valid time (UTC date from `first` to `last`) that a
    forecast was known of.

    Cycles are the times at which forecasts became known, or every day at the times `cycles`. A
    model is fitted at the first cycle of a UTC day on what was known then; features are as of
    each cycle.
    """
    with one_thread():
        return _backtest(runtime, variable, (first, last), out, cycles=cycles, holdout=holdout)


def _backtest(
    runtime: Runtime,
    variable: str,
    days: tuple[date, date],
    out: Path,
    *,
    cycles: Sequence[time],
    holdout: Holdout | None,
) -> BacktestReport:
    low, high = _midnight(days[0]), _midnight(days[1] + timedelta(days=1))
    found = histories(
        runtime.tables, (variable,), as_of=high, places=configured.read(runtime.storage)
    )
    total = BacktestReport(0, 0, 0, 0)
    with out.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerow(HEADER)
        for history in found:
            told = forecast_history(
                history, low=_us(low), high=_us(high), cycles=cycles, holdout=holdout
            )
            for issue in told:
                _write(file, history, issue)
                total = _counted(total, issue)
    return total


@dataclass(frozen=True, slots=True)
class Issue:
    """The forecasts of one cycle; `model` is None for the default spread, `fitted` whether it
    was fitted now."""

    samples: Samples
    prediction: Prediction
    model: Calibrated | None
    fitted: bool


def forecast_history(
    history: History,
    *,
    low: int,
    high: int,
    cycles: Sequence[time] = (),
    holdout: Holdout | None = None,
) -> Iterator[Issue]:
    """The issues of all cycles for valid times from `low` to below `high` (us)."""
    history = _without(history, holdout)
    asked = _asked(history, low, high, cycles)
    if not len(asked):
        return
    learnt = learning_samples(history.forecasts)
    samples, learning = _merged(learnt.take(learnt.cycle <= asked.cycle.max()), asked)
    truth = Truth(history.observations)
    walked = walk(history, samples, learnt=learning, truth=truth)
    yield from _issues(walked, Fitter(history, walked, truth, learning), learning, history)


def _issues(
    walked: Walked, fitter: Fitter, learning: np.ndarray, history: History
) -> Iterator[Issue]:
    asked = np.flatnonzero(~learning)
    cycle = walked.samples.cycle[asked]
    starts = np.flatnonzero(np.diff(cycle, prepend=-1))
    model, day = None, -1
    for rows in np.split(asked, starts[1:]):
        now = int(walked.samples.cycle[rows[0]])
        fitted = now // DAY != day
        if fitted:
            result, day = fitter.fit(now), now // DAY
            model = result.model if result else None
        samples, at = walked.samples.take(rows), walked.situations
        if model is None:
            prediction = default_blend(
                history.series, at.value[rows], at.issued[rows], samples.valid
            )
        else:
            prediction = model.predict(walked.features.take(rows))
        yield Issue(samples, prediction, model, fitted)


def _without(history: History, holdout: Holdout | None) -> History:
    """The history without the observations of the places held out."""
    if holdout is None:
        return history
    held = np.array([holdout.holds(place) for place in history.places], dtype=np.bool_)
    rows = np.flatnonzero(~held[history.observations.place])
    return History(
        history.series, history.places, history.forecasters, history.position, history.forecasts,
        history.observations.take(rows), history.against, history.cases,
    )  # fmt: skip


def _asked(history: History, low: int, high: int, cycles: Sequence[time]) -> Samples:
    rows = history.forecasts.usable()
    mine = rows.take(np.flatnonzero((rows.valid >= low) & (rows.valid < high)))
    if not len(mine.valid):
        return Samples(*(np.zeros(0, dtype=np.int64),) * 3)
    times = _daily(mine.known.min(), high, cycles) if cycles else np.unique(rows.known)
    times = times[(times >= mine.known.min()) & (times < mine.valid.max())]
    each = [asked_samples(mine, int(at)) for at in times]
    parts = ([one.cycle for one in each], [one.place for one in each], [one.valid for one in each])
    return Samples(*(np.concatenate([*part, np.zeros(0, dtype=np.int64)]) for part in parts))


def _daily(low: int, high: int, cycles: Sequence[time]) -> Ints:
    days = np.arange(low // DAY, high // DAY + 1) * DAY
    offsets = np.array([_us(datetime.combine(date(1970, 1, 1), at, UTC)) for at in cycles])
    return np.unique(days[:, None] + offsets)


def _merged(learnt: Samples, asked: Samples) -> tuple[Samples, np.ndarray]:
    """Both in order of the cycle, and which of them are learnt from."""
    both = [
        np.concatenate(pair)
        for pair in (
            (learnt.cycle, asked.cycle),
            (learnt.place, asked.place),
            (learnt.valid, asked.valid),
        )
    ]
    learning = np.arange(len(both[0])) < len(learnt)
    order = np.argsort(both[0], kind="stable")
    return Samples(*(column[order] for column in both)), learning[order]


def _write(file: TextIO, history: History, issue: Issue) -> None:
    good = np.isfinite(issue.prediction.mean)
    times = [
        np.datetime_as_string(column[good].view("datetime64[us]"), unit="s")
        for column in (issue.samples.cycle, issue.samples.valid)
    ]
    values = np.column_stack([issue.prediction.mean, issue.prediction.quantiles])[good]
    names, variable = history.places, history.series.variable
    places = [names[code] for code in issue.samples.place[good]]
    csv.writer(file).writerows(
        (place, f"{cycle}Z", f"{valid}Z", variable, *_rounded(row))
        for place, cycle, valid, row in zip(places, *times, values, strict=True)
    )


def _rounded(row: Floats) -> list[float]:
    return [round(float(value), 4) for value in row]


def _counted(total: BacktestReport, issue: Issue) -> BacktestReport:
    return BacktestReport(
        total.rows + int(np.isfinite(issue.prediction.mean).sum()),
        total.cycles + 1,
        total.fits + (issue.fitted and issue.model is not None),
        total.without_model + (issue.model is None),
    )


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _us(moment: datetime) -> int:
    return round(moment.timestamp()) * 1_000_000
