"""What the tests of the blend are made of: a made-up history, a model of it, its newest runs."""

import io
from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
from skyblend.predict.blend.calibrated import Calibrated
from skyblend.predict.blend.columns import (
    DAY,
    HOUR,
    ForecastColumns,
    History,
    Ints,
    ObservationColumns,
)
from skyblend.predict.blend.features import Features, Situations
from skyblend.predict.blend.fit import Fitter
from skyblend.predict.blend.lookup import (
    NewestRuns,
    Samples,
    Truth,
    asked_samples,
    learning_samples,
)
from skyblend.predict.blend.model import Model, SelfTest
from skyblend.predict.blend.series import Series
from skyblend.predict.blend.walk import Walked, walk
from skyblend.protos.v1.records_pb2 import Latest
from skyblend.protos.v1.variables_pb2 import Variable

NAMES = ("east/one", "east/two", "west")
BIAS = np.array([2.0, -1.0, 0.5])
SERIES = Series("temperature_2m", 0)


def made_up(days: int = 30, places: int = 6, *, seed: int = 1) -> History:
    """Three forecasters with known biases (and one of 1 degC per place) issue daily at 00Z for
    24 h and 48 h later; the observation is known an hour after its time."""
    random = np.random.default_rng(seed)
    place, day, lead, who = (
        grid.ravel()
        for grid in np.meshgrid(
            np.arange(places), np.arange(days), (1, 2), np.arange(3), indexing="ij"
        )
    )
    truth = 10 + np.arange(places)[:, None] + 4 * random.standard_normal((places, days + 3))
    error = random.standard_normal(len(place)) + BIAS[who] + (place % 2)
    issued, valid = day * DAY, (day + lead) * DAY
    told = ForecastColumns(
        place=place,
        forecaster=who,
        issued=issued,
        valid=valid,
        known=issued + HOUR,
        value=truth[place, day + lead] + error,
        flagged=np.zeros(len(place), dtype=np.bool_),
    )
    observed_place, observed_day = (
        grid.ravel() for grid in np.meshgrid(np.arange(places), np.arange(days), indexing="ij")
    )
    observed = ObservationColumns(
        place=observed_place,
        valid=observed_day * DAY,
        known=observed_day * DAY + HOUR,
        value=truth[observed_place, observed_day],
        flagged=np.zeros(len(observed_place), dtype=np.bool_),
    )
    position = np.column_stack(
        [48 + 0.1 * np.arange(places), np.full(places, 11.0), np.full(places, 500.0)]
    )
    labels = tuple(f"place{number}" for number in range(places))
    return History(
        SERIES, labels, NAMES, position, told, observed, dict.fromkeys(labels, "station")
    )


def walked(history: History, samples: Samples | None = None) -> tuple[Walked, Truth]:
    truth = Truth(history.observations)
    samples = samples or learning_samples(history.forecasts)
    everything = np.ones(len(samples), dtype=np.bool_)
    return walk(history, samples, learnt=everything, truth=truth), truth


def joined(first: ForecastColumns, second: ForecastColumns) -> ForecastColumns:
    each = (
        np.concatenate([getattr(first, f.name), getattr(second, f.name)]) for f in fields(first)
    )
    return ForecastColumns(*each)


def forecasts_of(
    issued: list[int], known: list[int], value: list[float], *, valid: int = 24
) -> ForecastColumns:
    count, zero = len(value), np.zeros(len(value), dtype=np.int64)
    hours = (np.array(column) * HOUR for column in (issued, [valid] * count, known))
    return ForecastColumns(zero, zero, *hours, np.array(value), zero.astype(np.bool_))


def observations_of(valid: list[int], known: list[int], value: list[float]) -> ObservationColumns:
    zero = np.zeros(len(value), dtype=np.int64)
    hours = (np.array(column) * HOUR for column in (valid, known))
    return ObservationColumns(zero, *hours, np.array(value), zero.astype(np.bool_))


def at_hours(hours: list[int]) -> Samples:
    cycle = np.array(hours) * HOUR
    return Samples(cycle, np.zeros_like(cycle), np.full_like(cycle, 24 * HOUR))


def features_until(history: History, at: int) -> Features:
    samples = learning_samples(history.forecasts)
    return walked(history, samples.take(samples.cycle <= at))[0].features


def with_the_future(history: History, at: int) -> History:
    """The history with absurd rows and corrections that became known after `at`."""
    told, seen = history.forecasts, history.observations
    wrong = replace(told, value=told.value + 30, known=np.maximum(told.known, at) + HOUR)
    later = replace(
        told, value=told.value - 9, issued=told.issued + HOUR, known=np.maximum(told.known, at) + 1
    )
    corrected = replace(seen, value=seen.value - 50, known=np.maximum(seen.known, at) + 1)
    each = (
        np.concatenate([getattr(seen, f.name), getattr(corrected, f.name)]) for f in fields(seen)
    )
    forecasts = joined(joined(later, told), wrong)
    return replace(history, forecasts=forecasts, observations=ObservationColumns(*each))


def fitted_at(history: History, at: int) -> Calibrated:
    steps, truth = walked(history)
    everything = np.ones(len(steps.samples), dtype=np.bool_)
    fitted = Fitter(history, steps, truth, everything).fit(at)
    assert fitted is not None
    return fitted.model


def plain_features(x: np.ndarray) -> Features:
    zero, table = np.zeros(len(x)), np.column_stack([np.ones(len(x)), x])
    return Features(zero, zero, np.ones((len(x), 1), np.bool_), zero + 24, zero, table, table)


def concatenated(first: Samples, second: Samples) -> Samples:
    columns = [np.concatenate(pair) for pair in zip(each(first), each(second), strict=True)]
    order = np.argsort(columns[0], kind="stable")
    return Samples(*(column[order] for column in columns))


def each(samples: Samples) -> tuple[Ints, Ints, Ints]:
    return samples.cycle, samples.place, samples.valid


def trained() -> tuple[Model, SelfTest]:
    """The model of the made-up history as of its day 29."""
    history, at = made_up(), 29 * DAY + 2 * HOUR
    truth, samples = Truth(history.observations), learning_samples(history.forecasts)
    everything = np.ones(len(samples), dtype=np.bool_)
    steps = walk(history, samples, learnt=everything, truth=truth, until=at)
    model = Model(
        model_id="m",
        series=SERIES,
        forecasters=NAMES,
        places=history.places,
        position=history.position,
        calibrated=fitted_at(history, 25 * DAY),
        memory=steps.memory,
        prior=steps.prior,
        learnt_to=25 * DAY,
        state_at=at,
    )
    rows = np.array([0, 1, 2])
    told = steps.situations
    cycle = np.full(3, at)
    situations = Situations(
        cycle, cycle + DAY, told.position[rows], told.value[rows], told.issued[rows]
    )
    return model, SelfTest("place0", situations, model.predict("place0", situations).quantiles)


def latest_of(history: History, place: int, at: int) -> Latest:
    """The newest run of each forecaster, as preprocess keeps it."""
    latest, told = Latest(place_id=history.places[place]), history.forecasts
    asked = asked_samples(history.forecasts, at)
    asked = asked.take(asked.place == place)
    value, issued = NewestRuns(told, len(NAMES)).at(asked)
    for number, name in enumerate(NAMES):
        source, _, model = name.partition("/")
        run = latest.runs.add(source=source, model=model)
        run.issued_at.FromMicroseconds(int(issued[0, number]))
        run.known_at.FromMicroseconds(int(issued[0, number]) + HOUR)
        series = run.series.add(variable=Variable.TEMPERATURE_2M, period=0)
        series.valid_at.extend((asked.valid // 1_000_000).tolist())
        series.value.extend(value[:, number].tolist())
    return latest


def raw_values(latest: Latest) -> list[float]:
    return [run.series[0].value[0] for run in latest.runs]


def width(quantiles: np.ndarray) -> float:
    return float((quantiles[:, -1] - quantiles[:, 0]).mean())


def moment(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1_000_000, UTC)


def without(content: bytes, name: str) -> bytes:
    with np.load(io.BytesIO(content)) as file:
        arrays = {key: file[key] for key in file.files if key != name}
    out = io.BytesIO()
    np.savez(out, **arrays)
    return out.getvalue()
