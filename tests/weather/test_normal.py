import math

import numpy as np
from skyblend.weather import normal

X = np.concatenate([np.linspace(-8, 8, 4001), [0.46875, -0.46875, 4.0, -4.0, 26.0, 1e300, -1e300]])


def test_erf_agrees_with_the_standard_library():
    expected = [math.erf(x) for x in X]
    np.testing.assert_allclose(normal.erf(X), expected, rtol=1e-15, atol=2.3e-16)


def test_erfc_keeps_its_digits_in_the_tail():
    expected = [math.erfc(x) for x in X]
    np.testing.assert_allclose(normal.erfc(X), expected, rtol=1e-14, atol=0)


def test_cdf_and_ppf_are_inverse():
    p = np.concatenate([np.linspace(0.001, 0.999, 999), 10.0 ** np.arange(-300, -3, 7)])
    np.testing.assert_allclose(normal.cdf(normal.ppf(p)), p, rtol=1e-12)


def test_known_quantiles():
    # Tabulated to the digits shown: 97.5 % and 90 % points.
    np.testing.assert_allclose(
        normal.ppf([0.5, 0.975, 0.1]),
        [0.0, 1.959963984540054, -1.2815515655446004],
        rtol=1e-15,
    )


def test_ends_and_missing_values():
    assert normal.ppf(0.0) == -np.inf
    assert normal.ppf(1.0) == np.inf
    assert np.isnan(normal.ppf([-0.1, 1.1, np.nan])).all()
    assert np.isnan(normal.cdf(np.nan))
    assert normal.cdf(np.inf) == 1.0
    assert normal.cdf(-np.inf) == 0.0


def test_pdf_at_zero():
    assert normal.pdf(0.0) == 1 / math.sqrt(2 * math.pi)
