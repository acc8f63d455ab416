"""The blended forecast of a place from the newest runs: what `issue` computes and GET serves."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
from skyblend.predict.blend.calibrated import Prediction
from skyblend.predict.blend.columns import Flags, Floats, Ints
from skyblend.predict.blend.default import default_blend
from skyblend.predict.blend.features import Situations
from skyblend.predict.blend.model import Model
from skyblend.predict.blend.series import BLENDED, Series, forecaster
from skyblend.predict.blend.standing import Standing, Told
from skyblend.protos.v1.records_pb2 import Latest, Place, Run, RunSeries
from skyblend.protos.v1.variables_pb2 import Variable

_SECOND = 1_000_000


@dataclass(frozen=True, slots=True)
class Blend:
    """The forecast of one series at one place. `valid_at` in seconds since 1970; `mean` [n],
    `quantiles` [n, 19] at LEVELS; `forecasters` counts those that spoke of each time; `used` are
    indices into latest.runs; `missing` names the model's forecasters that are not there;
    `model_id` is empty for the mean with its default spread."""

    series: Series
    model_id: str
    valid_at: Ints
    mean: Floats
    quantiles: Floats
    forecasters: Ints
    used: tuple[int, ...]
    missing: tuple[str, ...]


def predict(
    models: Mapping[str, Model], latest: Latest, *, place: Place, now: datetime
) -> list[Blend]:
    """A forecast of every blended series that `latest` tells of, for all its times after `now`, in
    order of the series.

    `models` are the champions by series key; a series without one, or none of whose forecasters
    is there, gets the mean of all with the default spread. Runs that became known after `now`
    are not looked at.
    """
    at = round(now.timestamp() * _SECOND)
    found = sorted({one for run in latest.runs for one in _series(run)})
    blends = (_blend(models.get(one.key), latest, one, place, at) for one in found)
    return [blend for blend in blends if len(blend.valid_at)]


def _series(run: Run) -> list[Series]:
    each = (Series(_name(part), part.period) for part in run.series)
    return [one for one in each if one.variable in BLENDED]


def _name(part: RunSeries) -> str:
    return Variable.Name(part.variable).lower()


@dataclass(frozen=True, slots=True)
class _Runs:
    """The runs that tell of one series: index into latest.runs, issue time (us), times (us) and
    values of each."""

    index: tuple[int, ...]
    names: tuple[str, ...]
    issued: Ints
    valid: Ints
    value: Floats  # [forecasters, valid times], NaN where one does not speak

    def spoken(self) -> "_Runs":
        """Only the times of which some run tells."""
        some = np.isfinite(self.value).any(axis=0)
        return replace(self, valid=self.valid[some], value=self.value[:, some])


def _runs(latest: Latest, series: Series, at: int, believe: Callable[[Told], Floats]) -> _Runs:
    told = [
        (number, run, part)
        for number, run in enumerate(latest.runs)
        if run.known_at.ToMicroseconds() <= at
        for part in run.series
        if _name(part) == series.variable and part.period == series.period
    ]
    times = [np.array(part.valid_at, dtype=np.int64) * _SECOND for _, _, part in told]
    valid = np.unique(np.concatenate([*times, np.zeros(0, dtype=np.int64)]))
    valid = valid[valid > at]
    value = np.full((len(told), len(valid)), np.nan)
    for row, (time, (_, _, part)) in enumerate(zip(times, told, strict=True)):
        later = time > at
        value[row, np.searchsorted(valid, time[later])] = np.array(part.value)[later]
    runs = [run for _, run, _ in told]
    names = tuple(forecaster(run.source, run.model) for run in runs)
    issued = np.array([run.issued_at.ToMicroseconds() for run in runs], dtype=np.int64)
    known = np.array([run.known_at.ToMicroseconds() for run in runs], dtype=np.int64)
    return _Runs(
        tuple(number for number, _, _ in told),
        names,
        issued,
        valid,
        believe(Told(names, known, valid, value)),
    )


def _belief(model: Model | None, series: Series, place: Place, at: int) -> Callable[[Told], Floats]:
    """The values that the checks do not speak against, by what the model's training knew."""
    standing = model.standing if model else Standing.none()
    places = model.places if model else ()
    code = places.index(place.id) if place.id in places else -1
    return lambda told: standing.believed(series, told, place=code, at=at)


def _blend(model: Model | None, latest: Latest, series: Series, place: Place, at: int) -> Blend:
    runs = _runs(latest, series, at, _belief(model, series, place, at)).spoken()
    plain = default_blend(series, runs.value.T, runs.issued, runs.valid)
    known = _arranged(runs, model.forecasters).spoken() if model else runs
    if model is None or not len(known.valid):
        return _described(series, "", runs, plain)
    modelled = model.predict(place.id, _situations(known, place, at))
    # Times of which only forecasters speak that the model does not know keep the default.
    rows = np.searchsorted(runs.valid, known.valid)
    plain.mean[rows], plain.quantiles[rows] = modelled.mean, modelled.quantiles
    unknown = np.array([name not in model.forecasters for name in runs.names])
    runs.value[np.ix_(unknown, rows)] = np.nan  # not in the blend, so not among its forecasters
    blend = _described(series, model.model_id, runs, plain)
    missing = tuple(name for name in model.forecasters if name not in runs.names)
    return replace(blend, missing=missing)


def _described(series: Series, model_id: str, runs: _Runs, result: Prediction) -> Blend:
    there = np.isfinite(runs.value)
    speaks: Flags = np.any(there, axis=1)
    used = tuple(number for number, says in zip(runs.index, speaks, strict=True) if says)
    return Blend(
        series=series,
        model_id=model_id,
        valid_at=runs.valid // _SECOND,
        mean=result.mean,
        quantiles=result.quantiles,
        forecasters=there.sum(axis=0),
        used=used,
        missing=(),
    )


def _arranged(runs: _Runs, names: tuple[str, ...]) -> _Runs:
    """The runs in the order of the model's forecasters, with no values for those that are not
    there."""
    row = {name: number for number, name in enumerate(runs.names)}
    rows = [row.get(name, len(runs.names)) for name in names]
    value = np.vstack([runs.value, np.full(len(runs.valid), np.nan)])[rows]
    issued = np.append(runs.issued, 0)[rows]
    index = tuple((*runs.index, -1)[number] for number in rows)
    return _Runs(index, names, issued, runs.valid, value)


def _situations(runs: _Runs, place: Place, at: int) -> Situations:
    names = ("latitude", "longitude", "elevation")
    position = [getattr(place, name) if place.HasField(name) else np.nan for name in names]
    count = len(runs.valid)
    return Situations(
        cycle=np.full(count, at),
        valid=runs.valid,
        position=np.tile(position, (count, 1)),
        value=runs.value.T,
        issued=np.where(np.isfinite(runs.value), runs.issued[:, None], np.nan).T,
    )
