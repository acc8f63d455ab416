"""What is known when: runs, versions and corrections as of a time, and no future in a feature."""

from dataclasses import fields, replace

import numpy as np
import pytest
from blend_cases import (
    at_hours,
    features_until,
    fitted_at,
    forecasts_of,
    made_up,
    observations_of,
    with_the_future,
)
from skyblend.predict.blend.columns import (
    DAY,
    HOUR,
)
from skyblend.predict.blend.lookup import (
    NewestRuns,
    Samples,
    Truth,
    learning_samples,
)


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
