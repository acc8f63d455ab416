"""Conversion between units as one table.

A unit is a scale, and for temperatures a shift, within its dimension.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Values = TypeVar("Values", float, NDArray[np.float64])


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit: `(value + shift) * scale` is the value in the base unit of `dimension`."""

    dimension: str
    scale: Fraction
    shift: float = 0.0


def _unit(dimension: str, scale: str, shift: float = 0.0) -> Unit:
    return Unit(dimension, Fraction(scale), shift)


_TABLE = (
    (("degC", "°C", "C", "celsius", "wmoUnit:degC"), _unit("temperature", "1")),
    (("degF", "°F", "F", "fahrenheit"), _unit("temperature", "5/9", -32.0)),
    (("K", "kelvin"), _unit("temperature", "1", -273.15)),
    (("m/s", "ms"), _unit("speed", "1")),
    (("km/h", "kmh", "wmoUnit:km_h-1"), _unit("speed", "5/18")),
    (("mph", "mp/h"), _unit("speed", "0.44704")),
    (("kn", "kt", "knots"), _unit("speed", "1852/3600")),
    (("m",), _unit("length", "1")),
    (("km",), _unit("length", "1000")),
    (("cm",), _unit("length", "0.01")),
    (("mm",), _unit("length", "0.001")),
    (("inch", "in"), _unit("length", "0.0254")),
    (("ft",), _unit("length", "0.3048")),
    (("mile", "mi"), _unit("length", "1609.344")),
    (("hPa", "mb", "mbar"), _unit("pressure", "1")),
    (("Pa",), _unit("pressure", "0.01")),
    (("kPa",), _unit("pressure", "10")),
    (("inHg",), _unit("pressure", "33.86389")),
    (("%", "percent"), _unit("share", "1")),
    (("fraction",), _unit("share", "100")),
    (("octa", "okta"), _unit("share", "12.5")),
    (("W/m2", "W/m²"), _unit("irradiance", "1")),
    (("deg", "°"), _unit("angle", "1")),
    (("wmo", "wmo code"), _unit("weather code", "1")),
)  # fmt: skip

UNITS = {name: unit for names, unit in _TABLE for name in names}


def convert(values: Values, from_unit: str, to_unit: str) -> Values:
    """The values in another unit, NaN kept; the same object where the two units are one.

    A value that is too large for a double in the other unit becomes infinite. Raises ValueError,
    naming both units, where one is unknown or they measure different things.
    """
    if from_unit == to_unit and from_unit in UNITS:
        return values
    before, after = UNITS.get(from_unit), UNITS.get(to_unit)
    if before is None or after is None or before.dimension != after.dimension:
        raise ValueError(f"cannot convert {from_unit!r} to {to_unit!r}")
    if before == after:
        return values
    ratio = before.scale / after.scale
    with np.errstate(over="ignore"):
        return (values + before.shift) * ratio.numerator / ratio.denominator - after.shift


def is_convertible(from_unit: str, to_unit: str) -> bool:
    """Whether both units are known and measure the same thing."""
    before, after = UNITS.get(from_unit), UNITS.get(to_unit)
    return before is not None and after is not None and before.dimension == after.dimension
