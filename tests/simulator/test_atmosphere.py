import numpy as np
import pytest
from skyblend.simulator.atmosphere import Atmosphere, Site
from skyblend.simulator.forecasters import forecast, forecaster
from skyblend.simulator.weather import VARIABLES, Weather
from skyblend.weather.quality import check_values
from skyblend.weather.variables import BY_NAME

YEAR = np.arange(365 * 24) + 24.0 * 20454  # from 2026-01-01, hours since 1970
MUNICH, SYDNEY = Site(48.1, 11.6, 520.0), Site(-33.9, 151.2, 20.0)
SITES = [MUNICH, SYDNEY, Site(0.3, 32.6, 1150.0), Site(64.8, -147.7, 135.0), Site(78.2, 15.6, 5.0)]


def truth(site, hours=YEAR, seed=0):
    return Weather(site, hours, Atmosphere(seed).state(site, hours))


def month(values, number):
    return values.reshape(365, 24)[30 * number : 30 * number + 30]


def test_summer_is_warm_on_each_side_of_the_equator():
    munich, sydney = truth(MUNICH).temperature(), truth(SYDNEY).temperature()
    assert month(munich, 6).mean() > month(munich, 0).mean() + 12
    assert month(sydney, 0).mean() > month(sydney, 6).mean() + 8


def test_the_afternoon_is_warmer_than_the_night_by_the_sun_and_not_by_the_clock():
    munich = truth(MUNICH).temperature().reshape(365, 24).mean(axis=0)
    sydney = truth(SYDNEY).temperature().reshape(365, 24).mean(axis=0)
    assert abs(int(munich.argmax()) - 14) <= 1  # 15 h solar time at 11.6 E
    assert abs(int(sydney.argmax()) - 5) <= 1  # 15 h solar time at 151.2 E
    assert munich.max() - munich.min() > 3


def test_the_weather_changes_from_day_to_day():
    days = truth(MUNICH).temperature().reshape(365, 24).mean(axis=1)
    season = np.convolve(days, np.ones(31) / 31, mode="valid")
    assert 2.0 < (days[15:-15] - season).std() < 6.0
    assert np.abs(np.diff(truth(MUNICH).temperature())).max() < 5.0


def test_rain_falls_on_some_days_and_not_on_most_hours():
    rain = truth(MUNICH).precipitation()
    assert 0.05 < (rain > 0.1).mean() < 0.3
    assert 300 < rain.sum() < 2500


@pytest.mark.parametrize("site", SITES)
def test_every_value_is_possible_and_consistent(site):
    weather = truth(site)
    assert set(VARIABLES) < set(BY_NAME)
    assert check_values({name: weather.value(name) for name in VARIABLES}) == []


def test_the_same_seed_is_the_same_weather_and_another_is_another():
    np.testing.assert_array_equal(truth(MUNICH).temperature(), truth(MUNICH).temperature())
    assert np.abs(truth(MUNICH).temperature() - truth(MUNICH, seed=1).temperature()).mean() > 1


def test_the_same_moment_is_the_same_whenever_it_is_asked():
    part = truth(MUNICH, YEAR[100:110]).temperature()
    np.testing.assert_allclose(part, truth(MUNICH).temperature()[100:110], rtol=0, atol=1e-9)


MODELS = [forecaster(name) for name in ("ecmwf_ifs025", "gfs_seamless", "icon_seamless", "jma_gsm")]


def errors(model, days, site=MUNICH):
    run = model.run_before(YEAR - 24.0 * days)
    told = forecast(Atmosphere(), model, site, hours=YEAR, run=run)
    return told.temperature() - truth(site).temperature()


def test_errors_grow_with_lead_and_each_model_has_its_own_bias():
    for model in MODELS:
        spread = [errors(model, days).std() for days in (0, 1, 3, 6)]
        assert spread == sorted(spread)
        assert 0.3 < spread[1] < 2.5
    biases = [errors(model, 1).mean() for model in MODELS]
    assert max(biases) - min(biases) > 0.3


@pytest.mark.parametrize("site", SITES)
def test_blending_pays(site):
    # without their biases, the mean is better than the best by a twentieth
    unbiased = [error - error.mean() for error in (errors(model, 2, site) for model in MODELS)]
    best = min(np.abs(error).mean() for error in unbiased)
    assert np.abs(np.mean(unbiased, axis=0)).mean() < 0.95 * best


def test_a_model_says_nothing_beyond_its_horizon():
    model = forecaster("icon_d2")
    hours = YEAR[:96]
    told = forecast(Atmosphere(), model, MUNICH, hours=hours, run=np.full(96, hours[0]))
    for name in VARIABLES:
        assert np.isnan(told.value(name)[49:]).all()
        assert np.isfinite(told.value(name)[:49]).all()


def test_neighbouring_runs_are_alike():
    model = MODELS[0]
    first, next_run, other = (
        forecast(Atmosphere(), model, MUNICH, hours=YEAR[:72], run=np.full(72, YEAR[0] - before))
        for before in (12, 6, 240)
    )
    near = np.abs(first.temperature() - next_run.temperature()).mean()
    assert 0 < near < np.abs(first.temperature() - other.temperature()).mean()
