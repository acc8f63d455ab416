"""The fit: biases, spread and levels that are learnt, and intervals that hold."""

from dataclasses import replace

import numpy as np
import pytest
from blend_cases import (
    fitted_at,
    made_up,
    plain_features,
    walked,
)
from skyblend.predict.blend import linear
from skyblend.predict.blend.columns import (
    DAY,
)
from skyblend.predict.blend.evidence import Memory, corrections
from skyblend.predict.blend.levels import NORMAL, calibrated
from skyblend.predict.blend.lookup import (
    Truth,
)


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


def test_forecasts_are_believed_less_at_leads_at_which_they_know_less() -> None:
    history = made_up(days=90, places=12)
    told, random = history.forecasts, np.random.default_rng(5)
    far = told.valid - told.issued == 2 * DAY
    guess = 10 + 4 * random.standard_normal((12, 92))[told.place, told.valid // DAY] + told.place
    told = replace(told, value=np.where(far, guess, told.value))  # no more than the climate
    history = replace(history, forecasts=told)
    steps, truth = walked(history)
    model = fitted_at(history, 50 * DAY)
    samples = steps.samples
    rows = np.flatnonzero((samples.cycle > 50 * DAY) & (samples.valid < 90 * DAY))
    forecast = model.predict(steps.features.take(rows))
    error = np.abs(forecast.mean - truth.at(samples.take(rows), 100 * DAY))
    is_far = steps.features.lead[rows] > 24
    # A spread of 4 around the climate has a mean size of 3.2; fully believed guesses, 4.5.
    assert error[is_far].mean() < 3.5
    assert error[~is_far].mean() < 0.9


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
