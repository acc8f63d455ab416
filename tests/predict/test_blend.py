"""The blend: what is known when, the fit, the file of a model, and the forecast from the newest
runs."""

import hashlib
import io
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime

import numpy as np
import pytest
from skyblend.predict.blend import linear
from skyblend.predict.blend.calibrated import Calibrated
from skyblend.predict.blend.columns import (
    DAY,
    HOUR,
    ForecastColumns,
    History,
    Ints,
    ObservationColumns,
)
from skyblend.predict.blend.evidence import Memory, corrections
from skyblend.predict.blend.features import Features, Situations
from skyblend.predict.blend.fit import Fitter
from skyblend.predict.blend.levels import NORMAL, calibrated
from skyblend.predict.blend.lookup import (
    NewestRuns,
    Samples,
    Truth,
    asked_samples,
    learning_samples,
)
from skyblend.predict.blend.model import Model, ModelError, SelfTest, decode, encode
from skyblend.predict.blend.predict import predict
from skyblend.predict.blend.series import Series
from skyblend.predict.blend.walk import Walked, walk
from skyblend.predict.train.threads import one_thread
from skyblend.protos.v1.records_pb2 import Latest, Place
from skyblend.protos.v1.variables_pb2 import Variable


@pytest.fixture(autouse=True)
def few_threads() -> Iterator[None]:
    """Linear algebra of small matrices on one thread: many times quicker on a busy machine."""
    with one_thread():
        yield


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


def test_newest_run_is_the_one_issued_last_whatever_the_order_of_arrival() -> None:
    # Runs of 00Z (known 01Z), 06Z (known 07Z) and, late, 03Z (known 09Z), all for 24Z.
    told = forecasts_of([0, 6, 3], [1, 7, 9], [10.0, 11.0, 12.0])
    value, issued = NewestRuns(told, 1).at(at_hours([0, 1, 6, 7, 9, 20]))
    assert value[:, 0] == pytest.approx([np.nan, 10, 10, 11, 11, 11], nan_ok=True)
    assert issued[-1, 0] == 6 * HOUR


def test_a_later_version_of_a_run_replaces_it_when_it_becomes_known() -> None:
    told = forecasts_of([0, 0], [1, 5], [10.0, 11.0])
    assert NewestRuns(told, 1).at(at_hours([4, 5]))[0][:, 0].tolist() == [10, 11]


def test_flagged_and_missing_values_are_nobodys_forecast() -> None:
    told = forecasts_of([0, 6, 7], [1, 7, 8], [10.0, 99.0, np.nan])
    told = replace(told, flagged=np.array([False, True, False]))
    assert NewestRuns(told, 1).at(at_hours([20]))[0].tolist() == [[10.0]]


def test_observation_is_the_version_known_at_the_time() -> None:
    seen = observations_of([24, 24], [25, 30], [5.0, 6.0])
    truth, sample = Truth(seen), Samples(*(np.array([hour * HOUR]) for hour in (1, 0, 24)))
    sample = Samples(np.array([HOUR]), np.array([0]), np.array([24 * HOUR]))
    assert np.isnan(truth.at(sample, 24 * HOUR)).all()
    assert truth.at(sample, 29 * HOUR).tolist() == [5.0]
    assert truth.at(sample, 30 * HOUR).tolist() == [6.0]


def test_a_correction_enters_the_sums_as_a_difference() -> None:
    seen = observations_of([24, 24], [25, 30], [5.0, 6.0])
    sample = Samples(np.array([HOUR]), np.array([0]), np.array([24 * HOUR]))
    _, known, value, before = Truth(seen).versions(sample)
    assert (known // HOUR).tolist() == [25, 30]
    assert value.tolist() == [5.0, 6.0]
    assert before.tolist() == pytest.approx([np.nan, 5.0], nan_ok=True)


def test_each_target_is_learnt_from_once_in_each_class_of_lead() -> None:
    # Known hourly from 48 h to 1 h before the target: leads 48 (its own class), then classes of 6
    # h: 42..47, ... 1..5.
    hours = list(range(48))
    samples = learning_samples(forecasts_of(hours, hours, [1.0] * 48, valid=48))
    lead = (samples.valid - samples.cycle) // HOUR
    assert sorted(lead.tolist(), reverse=True) == [48, 47, 41, 35, 29, 23, 17, 11, 5]


def test_future_rows_and_late_corrections_change_no_feature() -> None:
    history, at = made_up(), 20 * DAY + 2 * HOUR
    before = features_until(history, at)
    assert len(before.mean) > 150
    after = features_until(with_the_future(history, at), at)
    for field in fields(before):
        np.testing.assert_array_equal(getattr(before, field.name), getattr(after, field.name))


def test_the_same_rows_known_earlier_do_change_features() -> None:
    """What the test above would miss if it could not fail: the as-of filter is all that keeps
    those rows out."""
    history, at = made_up(), 20 * DAY + 2 * HOUR
    leaky = with_the_future(history, at)
    told, seen = leaky.forecasts, leaky.observations
    leaky = replace(
        leaky,
        forecasts=replace(told, known=np.minimum(told.known, told.issued % DAY + 10 * DAY)),
        observations=replace(seen, known=np.minimum(seen.known, seen.valid)),
    )
    before, after = features_until(history, at), features_until(leaky, at)
    assert not np.array_equal(before.location[-100:], after.location[-100:])


def test_the_fitted_model_does_not_know_the_future() -> None:
    history, at = made_up(), 20 * DAY + 2 * HOUR
    kept, leaky = fitted_at(history, at), fitted_at(with_the_future(history, at), at)
    np.testing.assert_array_equal(kept.linear.location, leaky.linear.location)
    np.testing.assert_array_equal(kept.levels, leaky.levels)


def test_bias_of_a_place_is_found_and_shrunk() -> None:
    memory = Memory(np.array([[48.0, 11.0, 500.0]]), 1)
    pairs = np.zeros(4, dtype=np.int64)
    memory.absorb(pairs, pairs, pairs, np.ones((4, 1)), np.full((4, 1), 2.0))
    known = corrections(memory.about(pairs[:1], pairs[:1], 0), np.zeros(1))
    # all: 8/(4+5)=0.889; class everywhere: (8+5*0.889)/(4+5)=1.383, 0.494 more; area has no pairs.
    assert known.area[0, 0, 0] == pytest.approx(0.889 + 0.494, abs=1e-3)
    # place: (8+3*0.889)/(4+3)=1.524; place in class: (8+6*(1.524+0.494))/(4+6)=2.011
    assert known.own[0, 0, 0] == pytest.approx(2.011, abs=1e-3)


def test_errors_fade_with_the_memory() -> None:
    memory, one = Memory(np.full((1, 3), np.nan), 1), np.zeros(1, dtype=np.int64)
    memory.absorb(one, one, one, np.ones((1, 1)), np.ones((1, 1)))
    memory.advance(100 * DAY)
    weight = memory.about(one, one, 100 * DAY).own.weight[0, :, 0]
    assert weight == pytest.approx(np.exp(-100 / np.array([20.0, 2.0])))


def test_linear_fit_finds_mean_and_spread_despite_gross_errors() -> None:
    random = np.random.default_rng(3)
    x = random.standard_normal(4000)
    spread = np.exp(0.5 + 0.5 * x)
    observed = 3 + 2 * x + spread * random.standard_normal(4000)
    observed[::200] += 80  # 0.5 % of sensors fail
    model = linear.fit(
        plain_features(x), observed, np.ones(4000), ridge=np.ones(2), ridge_scale=np.ones(2)
    )
    mean, sd = model.predict(plain_features(np.array([-1.0, 0.0, 1.0])))
    assert mean == pytest.approx([1, 3, 5], abs=0.25)
    assert sd == pytest.approx(np.exp([0.0, 0.5, 1.0]), rel=0.12)


def test_a_feature_that_never_varied_has_no_effect() -> None:
    x = np.linspace(-1, 1, 200)
    still = np.column_stack([np.ones(200), x, np.full(200, 7.0)])
    features = replace(plain_features(x), location=still)
    model = linear.fit(
        features, 2 * x, np.ones(200), ridge=np.full(3, 1e-6), ridge_scale=np.ones(2)
    )
    moved = replace(features, location=still + np.array([0, 0, 5]))
    np.testing.assert_array_equal(model.predict(features)[0], model.predict(moved)[0])


def test_levels_follow_earlier_residuals_and_fall_back_to_the_gaussian() -> None:
    assert calibrated(np.zeros(10), 5) == pytest.approx(NORMAL)
    residuals = 2 * np.random.default_rng(0).standard_normal(20_000)
    assert calibrated(residuals, 50)[[0, 9, 18]] == pytest.approx([-3.29, 0, 3.29], abs=0.1)
    assert (np.diff(calibrated(np.repeat([-1.0, 1.0], 100), 3)) >= 0).all()


def test_the_blend_beats_the_mean_and_its_intervals_hold() -> None:
    history = made_up(days=90, places=12)
    steps, truth = walked(history)
    model = fitted_at(history, 50 * DAY)
    rows = np.flatnonzero((steps.samples.cycle > 50 * DAY) & (steps.samples.valid < 90 * DAY))
    observed = truth.at(steps.samples.take(rows), 100 * DAY)
    forecast = model.predict(steps.features.take(rows))
    error = np.abs(forecast.mean - observed).mean()
    # The mean of three independent errors of spread 1 has a mean size of sqrt(2/pi/3) = 0.46.
    assert error < 0.6 < np.abs(steps.features.mean[rows] - observed).mean()
    inside = (forecast.quantiles[:, 0] <= observed) & (observed <= forecast.quantiles[:, -1])
    assert 0.86 < inside.mean() < 0.97


def test_places_without_history_are_forecast_with_intervals_that_hold() -> None:
    history = made_up(days=90, places=12)
    seen = history.observations
    history = replace(history, observations=seen.take(np.flatnonzero(seen.place % 4 > 1)))
    steps, _ = walked(history)
    model = fitted_at(history, 50 * DAY)
    strange = (steps.samples.place % 4 <= 1) & (steps.samples.valid < 90 * DAY)
    rows = np.flatnonzero((steps.samples.cycle > 50 * DAY) & strange)
    observed = Truth(seen).at(steps.samples.take(rows), 100 * DAY)
    low, high = model.predict(steps.features.take(rows)).quantiles[:, [0, -1]].T
    assert 0.80 < ((low <= observed) & (observed <= high)).mean() < 0.98


def test_model_file_gives_the_same_forecast_and_the_same_bytes() -> None:
    model, test = trained()
    content = encode(model, test)
    assert content == encode(model, test)
    loaded = decode(content, sha256=hashlib.sha256(content).hexdigest())
    np.testing.assert_array_equal(loaded.predict(test.place, test.at).quantiles, test.quantiles)


def test_model_with_other_bytes_other_features_or_other_answers_is_refused() -> None:
    model, test = trained()
    content = encode(model, test)
    with pytest.raises(ModelError, match="expected sha256"):
        decode(content, sha256="0" * 64)
    with pytest.raises(ModelError, match="expected the arrays"):
        decode(b"text", sha256=hashlib.sha256(b"text").hexdigest())
    wrong = encode(model, replace(test, quantiles=test.quantiles + 0.1))
    with pytest.raises(ModelError, match="self-test"):
        decode(wrong, sha256=hashlib.sha256(wrong).hexdigest())
    odd = without(content, "levels")
    with pytest.raises(ModelError, match="levels"):
        decode(odd, sha256=hashlib.sha256(odd).hexdigest())


def test_serving_gives_what_the_features_of_training_give() -> None:
    history = made_up()
    model, _ = trained()
    at = 29 * DAY + 2 * HOUR
    asked = asked_samples(history.forecasts, at)
    steps, _ = walked(history, concatenated(learning_samples(history.forecasts), asked))
    late = np.flatnonzero(steps.samples.cycle == at)
    expected = model.calibrated.predict(steps.features.take(late)).quantiles
    for code, place in enumerate(history.places):
        rows = steps.samples.place[late] == code
        blend = predict(
            {SERIES.key: model}, latest_of(history, code, at), place=Place(id=place), now=moment(at)
        )[0]
        assert blend.model_id == "m"
        np.testing.assert_allclose(blend.quantiles, expected[rows], atol=1e-9)


def test_a_place_without_history_gets_neighbours_and_wider_bounds() -> None:
    history, (model, _) = made_up(), trained()
    at = 29 * DAY + 2 * HOUR
    latest = latest_of(history, 3, at)
    known = predict({SERIES.key: model}, latest, place=Place(id="place3"), now=moment(at))[0]
    new = Place(id="new", latitude=48.3, longitude=11.0, elevation=500.0)
    unknown = predict({SERIES.key: model}, latest, place=new, now=moment(at))[0]
    nowhere = predict({SERIES.key: model}, latest, place=Place(id="nowhere"), now=moment(at))[0]
    for blend in (known, unknown, nowhere):
        assert np.isfinite(blend.quantiles).all()
        assert (np.diff(blend.quantiles, axis=1) >= 0).all()
    # The forecasters are 0.5 + 1 (odd place) too warm: own history corrects more than the
    # neighbours' does.
    assert known.mean[0] < unknown.mean[0] < np.mean(raw_values(latest)) - 0.5


def test_bounds_widen_with_age_and_absence() -> None:
    history, (model, _) = made_up(), trained()
    at = 29 * DAY + 2 * HOUR
    latest = latest_of(history, 0, at)
    place, models = Place(id="place0"), {SERIES.key: model}
    full = width(predict(models, latest, place=place, now=moment(at))[0].quantiles)
    alone = Latest(place_id="place0", runs=latest.runs[:1])
    assert width(predict(models, alone, place=place, now=moment(at))[0].quantiles) > 1.1 * full
    for run in latest.runs:
        run.issued_at.FromMicroseconds(run.issued_at.ToMicroseconds() - 5 * DAY)
    assert width(predict(models, latest, place=place, now=moment(at))[0].quantiles) > 1.3 * full


def test_without_a_model_the_mean_has_the_default_spread() -> None:
    latest = latest_of(made_up(), 0, 29 * DAY + 2 * HOUR)
    blend = predict({}, latest, place=Place(id="place0"), now=moment(29 * DAY + 2 * HOUR))[0]
    assert (blend.model_id, blend.missing, blend.used) == ("", (), (0, 1, 2))
    values = [run.series[0].value[0] for run in latest.runs]
    assert blend.mean[0] == pytest.approx(np.mean(values))
    # Runs of 24 h: spread 2 degC, and the 95 % level of a Gaussian is at 1.645.
    assert blend.quantiles[0, -1] - blend.mean[0] == pytest.approx(2 * 1.6449, abs=1e-3)


def test_absent_forecasters_are_named_and_runs_of_the_future_are_not_read() -> None:
    at, (model, _) = 29 * DAY + 2 * HOUR, trained()
    latest = latest_of(made_up(), 0, at)
    latest.runs[1].known_at.FromMicroseconds(at + HOUR)
    blend = predict({SERIES.key: model}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert blend.missing == ("east/two",)
    assert blend.used == (0, 2)
    assert blend.forecasters.tolist() == [2, 2]


def test_one_wild_forecaster_is_not_believed() -> None:
    at = 29 * DAY + 2 * HOUR
    latest = latest_of(made_up(), 0, at)
    latest.runs[2].series[0].value[0] = 48.0
    blend = predict({}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert blend.forecasters[0] == 2


def test_times_that_only_an_unknown_forecaster_tells_keep_the_default() -> None:
    at, (model, _) = 29 * DAY + 2 * HOUR, trained()
    latest = latest_of(made_up(), 0, at)
    far = latest.runs.add(source="south")
    far.CopyFrom(latest.runs[0])
    far.source, far.model = "south", ""
    far.series[0].valid_at[:] = [(at + 5 * DAY) // 1_000_000]
    far.series[0].value[:] = [9.0]
    blend = predict({SERIES.key: model}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert len(blend.valid_at) == 3
    assert blend.mean[-1] == 9.0
    assert blend.model_id == "m"


def test_a_forecaster_unknown_to_the_model_is_not_counted() -> None:
    at, (model, _) = 29 * DAY + 2 * HOUR, trained()
    latest = latest_of(made_up(), 0, at)
    latest.runs.add().CopyFrom(latest.runs[0])
    latest.runs[3].source, latest.runs[3].model = "south", ""
    blend = predict({SERIES.key: model}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert blend.used == (0, 1, 2)
    assert blend.forecasters.tolist() == [3, 3]


def test_past_times_are_not_forecast() -> None:
    latest = latest_of(made_up(), 0, 29 * DAY + 2 * HOUR)
    assert predict({}, latest, place=Place(id="place0"), now=moment(40 * DAY)) == []


# What the tests are made of.


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
