"""The standard normal distribution in NumPy, to full double accuracy."""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

_SQRT2 = math.sqrt(2.0)
_SQRT2PI = math.sqrt(2.0 * math.pi)
_SQRTPI = math.sqrt(math.pi)

# Rational approximations of erf and erfc: W. J. Cody, Math. Comp. 23 (1969) 631-637. Highest power
# first.
_ERF = (
    (1.85777706184603153e-1, 3.16112374387056560e0, 1.13864154151050156e2,
     3.77485237685302021e2, 3.20937758913846947e3),
    (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3,
     2.84423683343917062e3),
)  # fmt: skip
_ERFC_NEAR = (
    (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594e0,
     6.61191906371416295e1, 2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3,
     2.05107837782607147e3, 1.23033935479799725e3),
    (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2,
     1.62138957456669019e3, 3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3,
     1.23033935480374942e3),
)  # fmt: skip
_ERFC_FAR = (
    (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1,
     1.25781726111229246e-1, 1.60837851487422766e-2, 6.58749161529837803e-4),
    (1.0, 2.56852019228982242e0, 1.87295284992346725e0, 5.27905102951428412e-1,
     6.05183413124413191e-2, 2.33520497626869185e-3),
)  # fmt: skip

# Quantile function PPND16: M. J. Wichura, Applied Statistics 37 (1988) 477-484, AS 241. Highest
# power first.
_CENTRE = (
    (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4,
     4.5921953931549871457e4, 1.3731693765509461125e4, 1.9715909503065514427e3,
     1.3314166789178437745e2, 3.3871328727963666080e0),
    (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4,
     2.1213794301586595867e4, 5.3941960214247511077e3, 6.8718700749205790830e2,
     4.2313330701600911252e1, 1.0),
)  # fmt: skip
_TAIL = (
    (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1,
     1.27045825245236838258e0, 3.64784832476320460504e0, 5.76949722146069140550e0,
     4.63033784615654529590e0, 1.42343711074968357734e0),
    (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2,
     1.48103976427480074590e-1, 6.89767334985100004550e-1, 1.67638483018380384940e0,
     2.05319162663775882187e0, 1.0),
)  # fmt: skip
_FAR_TAIL = (
    (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3,
     2.65321895265761230930e-2, 2.96560571828504891230e-1, 1.78482653991729133580e0,
     5.46378491116411436990e0, 6.65790464350110377720e0),
    (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
     7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
     5.99832206555887937690e-1, 1.0),
)  # fmt: skip

_Ratio = tuple[tuple[float, ...], tuple[float, ...]]


def pdf(z: ArrayLike) -> Floats:
    """Density of the standard normal distribution at `z`."""
    values = np.asarray(z, dtype=np.float64)
    return np.exp(-0.5 * values * values) / _SQRT2PI


def cdf(z: ArrayLike) -> Floats:
    """Probability that a standard normal variable is at most `z`; accurate in both tails."""
    return 0.5 * erfc(-np.asarray(z, dtype=np.float64) / _SQRT2)


def ppf(p: ArrayLike) -> Floats:
    """Quantile of the standard normal distribution; infinite at 0 and 1, NaN outside [0, 1]."""
    levels = np.asarray(p, dtype=np.float64)
    result = np.full(levels.shape, np.nan)
    offset = levels - 0.5
    centre = np.abs(offset) <= 0.425
    result[centre] = offset[centre] * _ratio(_CENTRE, 0.180625 - offset[centre] ** 2)
    tail = ~centre & (levels > 0.0) & (levels < 1.0)
    result[tail] = np.sign(offset[tail]) * _tail_quantile(levels[tail])
    result[levels == 0.0] = -np.inf
    result[levels == 1.0] = np.inf
    return result


def erf(x: ArrayLike) -> Floats:
    """The error function."""
    values = np.asarray(x, dtype=np.float64)
    near = np.abs(values) <= 0.46875
    result = np.empty(values.shape)
    result[near] = values[near] * _ratio(_ERF, values[near] ** 2)
    result[~near] = 1.0 - erfc(values[~near])
    return result


def erfc(x: ArrayLike) -> Floats:
    """The complementary error function, 1 - erf(x) without loss for large x."""
    values = np.asarray(x, dtype=np.float64)
    size = np.abs(values)
    result = np.full(values.shape, np.nan)
    near = size <= 0.46875
    result[near] = 1.0 - values[near] * _ratio(_ERF, values[near] ** 2)
    middle = (size > 0.46875) & (size <= 4.0)
    result[middle] = _exp_minus_square(size[middle]) * _ratio(_ERFC_NEAR, size[middle])
    far = size > 4.0
    result[far] = _far_erfc(size[far])
    return np.where((values < -0.46875), 2.0 - result, result)


def _far_erfc(size: Floats) -> Floats:
    bounded = np.minimum(size, 30.0)  # erfc(30) is already 0 in double precision
    inverse = 1.0 / (bounded * bounded)
    correction = inverse * _ratio(_ERFC_FAR, inverse)
    return _exp_minus_square(bounded) * (1.0 / _SQRTPI - correction) / bounded


def _exp_minus_square(size: Floats) -> Floats:
    """exp(-size**2) with the square split so that its rounding does not reach the result (Cody)."""
    coarse = np.trunc(size * 16.0) / 16.0
    return np.exp(-coarse * coarse) * np.exp(-(size - coarse) * (size + coarse))


def _tail_quantile(levels: Floats) -> Floats:
    depth = np.sqrt(-np.log(np.minimum(levels, 1.0 - levels)))
    return np.where(depth <= 5.0, _ratio(_TAIL, depth - 1.6), _ratio(_FAR_TAIL, depth - 5.0))


def _ratio(coefficients: _Ratio, x: Floats) -> Floats:
    numerator, denominator = coefficients
    return np.asarray(_horner(numerator, x) / _horner(denominator, x), dtype=np.float64)


def _horner(coefficients: tuple[float, ...], x: Floats) -> Floats:
    total = np.full(x.shape, coefficients[0])
    for coefficient in coefficients[1:]:
        total *= x
        total += coefficient
    return total
