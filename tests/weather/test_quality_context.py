import numpy as np
import pytest
from skyblend.weather.quality import Cases, check_context

DAY = np.timedelta64(24, "h")
START = np.datetime64("2021-01-04T00:00", "us")  # a Monday


def cases(valid_at, value, *, known_at=None, forecaster=0, place=0, period=0):
    """Rows at hours or times; by default known when valid."""
    valid = np.asarray(valid_at, "datetime64[us]")
    size = valid.size
    return Cases(
        place=np.broadcast_to(place, size).astype(np.int64),
        forecaster=np.broadcast_to(forecaster, size).astype(np.int64),
        period=np.broadcast_to(period, size).astype(np.int64),
        valid_at=valid,
        known_at=valid if known_at is None else np.broadcast_to(known_at, size).astype("M8[us]"),
        value=np.asarray(value, float),
    )


def checks(verdict):
    return [(flag.row, flag.check) for flag in verdict.flags()]


def temperatures(*, forecasts=None, observations=None):
    return check_context(
        "temperature_2m",
        forecasts=forecasts or Cases.none(),
        observations=observations or Cases.none(),
    )


def test_a_forecast_far_from_two_others_is_flagged_with_its_reason():
    # median of the others 20.5, spread 1.4826 * 0.5; limits 20.5 -+ 26
    verdict, _ = temperatures(
        forecasts=cases([START] * 3, [20.0, 21.0, -23.3], forecaster=[0, 1, 2])
    )
    (flag,) = verdict.flags()
    assert (flag.row, flag.check) == (2, "agreement")
    assert flag.reason == (
        "expected -5.5 to 46.5 degC (the other forecasts known at the time), got -23.3"
    )


def test_one_other_forecast_is_no_jury():
    verdict, _ = temperatures(forecasts=cases([START] * 2, [20.0, -20.0], forecaster=[0, 1]))
    assert checks(verdict) == []


def test_two_camps_are_no_error():
    verdict, _ = temperatures(
        forecasts=cases([START] * 4, [20.0, 20.0, -8.0, -8.0], forecaster=[0, 1, 2, 3])
    )
    assert checks(verdict) == []


def test_earlier_issues_of_the_same_forecaster_count_and_later_ones_do_not():
    known = [START - 3 * DAY, START - 2 * DAY, START - DAY]
    verdict, _ = temperatures(forecasts=cases([START] * 3, [20.0, 20.0, -20.0], known_at=known))
    assert checks(verdict) == [(2, "agreement")]
    verdict, _ = temperatures(forecasts=cases([START] * 3, [-20.0, 20.0, 20.0], known_at=known))
    assert checks(verdict) == []


def test_an_observation_is_held_to_the_forecasts_known_with_it():
    forecasts = cases([START] * 2, [0.0, 1.0], known_at=START - DAY, forecaster=[0, 1])
    _, verdict = temperatures(forecasts=forecasts, observations=cases([START], [46.7]))
    assert checks(verdict) == [(0, "agreement")]
    late = cases([START] * 2, [0.0, 1.0], known_at=START + DAY, forecaster=[0, 1])
    _, verdict = temperatures(forecasts=late, observations=cases([START], [46.7]))
    assert checks(verdict) == []


def test_a_value_far_beyond_the_season_is_flagged_when_nobody_confirms_it():
    # 40 days of -5 to 5 degC: the 5 % and 95 % points lie within -5 and 6, the limit 20 K beyond
    days = START + np.arange(40) * DAY
    values = 5 * np.sin(np.arange(40))
    history = cases(days, values)
    odd = START + 50 * DAY
    table = {"valid_at": [*days, odd], "value": [*values, 42.2]}
    _, verdict = temperatures(observations=cases(**table))
    assert checks(verdict) == [(40, "season")]
    agreed = cases([odd] * 2, [40.0, 41.0], known_at=odd - DAY, forecaster=[0, 1])
    verdict, _ = temperatures(forecasts=agreed, observations=history)
    assert checks(verdict) == [(0, "season"), (1, "season")]
    several = cases([odd] * 3, [40.0, 41.0, 42.0], known_at=odd - DAY, forecaster=[0, 1, 2])
    forecast_verdict, verdict = temperatures(forecasts=several, observations=cases(**table))
    assert checks(forecast_verdict) == []
    assert checks(verdict) == []


def test_a_value_odd_in_two_respects_needs_less():
    # 20 K from the forecasts alone passes; with 15 K beyond the season as well it does not
    days = START + np.arange(40) * DAY
    odd = START + 50 * DAY
    forecasts = cases([odd] * 2, [0.0, 1.0], known_at=odd - DAY, forecaster=[0, 1])
    _, verdict = temperatures(forecasts=forecasts, observations=cases([odd], [20.5]))
    assert checks(verdict) == []
    table = cases([*days, odd], [*(5 * np.sin(np.arange(40))), 20.5])
    _, verdict = temperatures(forecasts=forecasts, observations=table)
    assert checks(verdict) == [(40, "agreement")]


def test_a_cold_start_has_no_opinion_of_the_season():
    days = START + np.arange(14) * DAY
    _, verdict = temperatures(observations=cases(days, [5.0] * 13 + [-28.0]))
    assert checks(verdict) == []


def test_the_season_comes_round_with_the_year():
    # a year of daily values, 25 K warmer in summer: a January value in July is odd, in January not
    days = START + np.arange(400) * DAY
    season = -25.0 * np.cos(2 * np.pi * np.arange(400) / 365.25)
    _, verdict = temperatures(observations=cases(days, season))
    assert checks(verdict) == []
    season[190] = -25.0
    _, verdict = temperatures(observations=cases(days, season))
    assert checks(verdict) == [(190, "season")]


def test_a_step_is_laid_at_the_outlier_and_not_at_its_neighbours():
    hours = START + np.arange(6) * np.timedelta64(1, "h")
    _, verdict = temperatures(observations=cases(hours, [10.0, 11.0, 12.0, 40.0, 13.0, 14.0]))
    assert checks(verdict) == [(3, "step")]


def test_a_real_change_of_level_is_doubted_once_at_most():
    hours = START + np.arange(6) * np.timedelta64(1, "h")
    _, verdict = temperatures(observations=cases(hours, [10.0, 11.0, 30.0, 30.0, 30.0, 30.0]))
    assert checks(verdict) == [(2, "step")]
    _, known_later = temperatures(
        observations=cases(hours, [10.0, 11.0, 30.0, 30.0, 30.0, 30.0], known_at=hours[-1])
    )
    assert checks(known_later) == []


def test_places_and_periods_are_judged_apart():
    hours = START + np.arange(4) * np.timedelta64(1, "h")
    _, verdict = temperatures(
        observations=cases(hours, [10.0, 10.0, 40.0, 40.0], place=[0, 0, 1, 1])
    )
    assert checks(verdict) == []


def test_values_out_of_range_are_neither_judged_nor_asked():
    verdict, _ = temperatures(
        forecasts=cases([START] * 4, [20.0, 999.0, 999.0, np.nan], forecaster=[0, 1, 2, 3])
    )
    assert checks(verdict) == []


def test_variables_without_limits_are_left_alone():
    table = cases([START] * 3, [0.0, 0.0, 90.0], forecaster=[0, 1, 2])
    verdict, _ = check_context("precipitation", forecasts=table, observations=Cases.none())
    assert checks(verdict) == []


def random_cases(rng, size, *, forecasters):
    # 3 places, 90 days, a few gross errors; known up to 3 days before (after) the valid time
    valid = START + rng.integers(0, 90 * 4, size) * np.timedelta64(6, "h")
    known = valid + rng.integers(-6, 3, size) * np.timedelta64(12, "h")
    value = rng.normal(5, 6, size) + np.where(rng.random(size) < 0.03, 45.0, 0.0)
    return cases(
        valid,
        value,
        known_at=known,
        forecaster=rng.integers(0, forecasters, size),
        place=rng.integers(0, 3, size),
    )


def part(table, rows):
    names = ("place", "forecaster", "period", "valid_at", "known_at", "value")
    return Cases(**{name: getattr(table, name)[rows] for name in names})


@pytest.mark.parametrize("seed", range(5))
def test_the_order_of_rows_changes_nothing(seed):
    rng = np.random.default_rng(seed)
    forecasts, observed = (
        random_cases(rng, 3000, forecasters=4),
        random_cases(rng, 800, forecasters=1),
    )
    verdict, seen = temperatures(forecasts=forecasts, observations=observed)
    shuffle, other = rng.permutation(3000), rng.permutation(800)
    again, seen_again = temperatures(
        forecasts=part(forecasts, shuffle), observations=part(observed, other)
    )
    assert verdict.flagged.any()
    assert seen.flagged.any()
    np.testing.assert_array_equal(again.check, verdict.check[shuffle])
    np.testing.assert_array_equal(seen_again.check, seen.check[other])


@pytest.mark.parametrize("seed", range(5))
def test_no_verdict_knows_the_future(seed):
    rng = np.random.default_rng(seed)
    forecasts, observed = (
        random_cases(rng, 3000, forecasters=4),
        random_cases(rng, 800, forecasters=1),
    )
    verdict, seen = temperatures(forecasts=forecasts, observations=observed)
    for day in (10, 45, 70):
        then = START + day * DAY
        early, early_seen = forecasts.known_at <= then, observed.known_at <= then
        as_of, seen_as_of = temperatures(
            forecasts=part(forecasts, early), observations=part(observed, early_seen)
        )
        np.testing.assert_array_equal(as_of.check, verdict.check[early])
        np.testing.assert_array_equal(seen_as_of.check, seen.check[early_seen])
