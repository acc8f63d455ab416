import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyblend.weather.units import UNITS, convert


@pytest.mark.parametrize(
    ("value", "from_unit", "to_unit", "expected"),
    [
        (32.0, "degF", "degC", 0.0),
        (-40.0, "°F", "degC", -40.0),
        (108.0, "degF", "degC", 42.22222222222222),  # 76 * 5 / 9
        (273.15, "K", "degC", 0.0),
        (36.0, "km/h", "m/s", 10.0),
        (10.0, "mp/h", "m/s", 4.4704),
        (10.0, "kn", "m/s", 5.144444444444445),  # 18520 m in 3600 s
        (1.13, "inch", "mm", 28.702),
        (2.0, "inch", "cm", 5.08),
        (1000.0, "ft", "m", 304.8),
        (10.0, "km", "m", 10_000.0),
        (101_325.0, "Pa", "hPa", 1013.25),
        (30.0, "inHg", "hPa", 1015.9167),
        (0.35, "fraction", "%", 35.0),
        (3.0, "wmo code", "wmo", 3.0),
    ],
)
def test_known_conversions(value, from_unit, to_unit, expected):
    assert convert(value, from_unit, to_unit) == pytest.approx(expected, abs=1e-12)


def test_an_unknown_pair_names_both_units():
    with pytest.raises(ValueError, match="'hPa' to 'm/s'"):
        convert(1.0, "hPa", "m/s")
    with pytest.raises(ValueError, match="'furlong' to 'm'"):
        convert(1.0, "furlong", "m")


def test_missing_stays_missing_and_one_unit_costs_nothing():
    values = np.array([np.nan, 1.0])
    assert convert(values, "m/s", "m/s") is values
    assert np.isnan(convert(values, "km/h", "m/s"))[0]


@given(st.sampled_from(sorted(UNITS)), st.sampled_from(sorted(UNITS)), st.floats(-1e4, 1e4))
def test_there_and_back_is_the_same(from_unit, to_unit, value):
    if UNITS[from_unit].dimension == UNITS[to_unit].dimension:
        back = convert(convert(value, from_unit, to_unit), to_unit, from_unit)
        assert back == pytest.approx(value, rel=1e-9, abs=1e-6)
