import math

import numpy as np
import pytest
from skyblend.weather import normal, scores

LEVELS = [0.1, 0.5, 0.9]


def test_pinball_by_hand():
    # y = 2, q = (1, 2, 4): 0.1 * 1, 0, 0.1 * 2
    loss = scores.pinball([1.0, 2.0, 4.0], 2.0, levels=LEVELS)
    np.testing.assert_allclose(loss, [0.1, 0.0, 0.2])


def test_crps_of_quantiles_is_twice_the_mean_pinball_loss():
    # 2 * (0.1 + 0 + 0.2) / 3 and, for y = 5: 2 * (0.4 + 1.5 + 0.9) / 3
    quantiles = np.array([[1.0, 2.0, 4.0], [1.0, 2.0, 4.0]])
    crps = scores.crps_quantiles(quantiles, [2.0, 5.0], levels=LEVELS)
    np.testing.assert_allclose(crps, [0.2, 5.6 / 3])


def test_crps_of_a_gaussian_at_its_mean():
    # z = 0: s * (2 * phi(0) - 1 / sqrt(pi)) = 2 * (0.7978845608 - 0.5641895835) = 0.4673899546
    assert scores.crps_gaussian(10.0, 2.0, 10.0) == pytest.approx(0.4673899545102, abs=1e-12)


def test_crps_of_a_gaussian_one_spread_away():
    # 1 * (2 * 0.8413447460685429 - 1) + 2 * 0.2419707245191434 - 0.5641895835477563
    expected = 0.6826894921370859 + 0.4839414490382867 - 0.5641895835477563
    assert scores.crps_gaussian(0.0, 1.0, 1.0) == pytest.approx(expected, abs=1e-14)
    assert scores.crps_gaussian(0.0, 1.0, -1.0) == pytest.approx(expected, abs=1e-14)


def test_crps_with_no_spread_is_the_absolute_error():
    np.testing.assert_array_equal(scores.crps_gaussian([1.0, 1.0], 0.0, [4.0, 1.0]), [3.0, 0.0])
    assert np.isnan(scores.crps_gaussian(0.0, -1.0, 0.0))


def test_many_quantiles_of_a_gaussian_approach_its_closed_form():
    levels = (np.arange(2000) + 0.5) / 2000
    crps = scores.crps_quantiles(normal.ppf(levels), 0.7, levels=levels)
    assert crps == pytest.approx(scores.crps_gaussian(0.0, 1.0, 0.7), abs=1e-4)


def test_mae_and_bias_leave_missing_cases_out():
    # |1 - 3| = 2, |5 - 4| = 1; -2 and +1
    forecast, observed = [1.0, 5.0, np.nan, 2.0], [3.0, 4.0, 1.0, np.nan]
    assert scores.mae(forecast, observed) == 1.5
    assert scores.bias(forecast, observed) == -0.5
    assert math.isnan(scores.mae([np.nan], [1.0]))


def test_coverage_counts_both_ends():
    # 1 and 3 lie on the ends, 4 is outside, one observation is missing: 2 of 3
    assert scores.coverage(1.0, 3.0, [1.0, 3.0, 4.0, np.nan]) == pytest.approx(2 / 3)


def test_pit_of_a_gaussian():
    np.testing.assert_allclose(
        scores.pit_gaussian(0.0, [1.0, 2.0, 0.0], [0.0, 2.0, 1.0]),
        [0.5, 0.8413447460685429, np.nan],
    )


def test_pit_of_quantiles_by_hand():
    # below all: 0.1 / 2; half way 1..2: 0.1 + 0.5 * 0.4; on the median; above all: (1 + 0.9) / 2
    pit = scores.pit_quantiles(
        np.tile([1.0, 2.0, 4.0], (5, 1)), [0.0, 1.5, 2.0, 9.0, np.nan], levels=LEVELS
    )
    np.testing.assert_allclose(pit, [0.05, 0.3, 0.5, 0.95, np.nan])


def test_pit_on_equal_quantiles_is_the_middle_of_their_levels():
    # the lower two are both 0: (0.1 + 0.5) / 2
    assert scores.pit_quantiles([0.0, 0.0, 3.0], 0.0, levels=LEVELS) == pytest.approx(0.3)


def test_levels_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"expected shape \(3,\)"):
        scores.pinball([1.0, 2.0, 4.0], 2.0, levels=[0.5])
    with pytest.raises(ValueError, match="ascending"):
        scores.pinball([1.0, 2.0, 4.0], 2.0, levels=[0.5, 0.1, 0.9])
