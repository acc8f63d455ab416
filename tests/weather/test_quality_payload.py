import numpy as np
import pytest
from skyblend.weather.quality import check_values
from skyblend.weather.quality.limits import ORDERS, PLAUSIBLE, RANGES
from skyblend.weather.variables import NAMES

NAN = np.nan


def test_every_variable_has_a_range_and_the_tables_name_no_other():
    assert [limit.variable for limit in RANGES] == list(NAMES)
    assert {limit.variable for limit in PLAUSIBLE} <= set(NAMES)
    assert {name for order in ORDERS for name in (order.lower, order.upper)} <= set(NAMES)


def test_fahrenheit_in_a_celsius_column_is_out_of_range():
    (flag,) = check_values({"temperature_2m": np.array([20.0, 68.0, NAN])})
    assert (flag.row, flag.variable, flag.check) == (1, "temperature_2m", "range")
    assert flag.reason == "expected -95 to 60, got 68"


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("temperature_2m", 293.15),  # kelvin
        ("pressure_msl", 101325.0),  # Pa
        ("relative_humidity_2m", 110.0),
        ("precipitation", -0.1),
        ("precipitation_probability", 101.0),
        ("cloud_cover", -1.0),
        ("wind_direction_10m", 361.0),
        ("temperature_2m_min", np.inf),
    ],
)
def test_values_beyond_the_records_of_the_earth_are_flagged(variable, value):
    assert [flag.check for flag in check_values({variable: np.array([value])})] == ["range"]


def test_the_records_of_the_earth_pass():
    # Vostok 1983, Death Valley 1913, typhoon Tip 1979, Barrow Island 1996
    real = {
        "temperature_2m_min": [-89.2],
        "temperature_2m_max": [56.7],
        "pressure_msl": [870.0],
        "wind_gusts_10m": [113.2],
    }
    assert check_values({name: np.array(column) for name, column in real.items()}) == []


def test_a_dew_point_above_the_temperature_flags_both():
    values = {
        "temperature_2m": np.array([10.0, 10.0, NAN]),
        "dew_point_2m": np.array([10.4, 10.6, 12.0]),
    }
    flags = check_values(values)
    assert [(flag.row, flag.variable) for flag in flags] == [
        (1, "dew_point_2m"),
        (1, "temperature_2m"),
    ]
    assert flags[0].reason == "expected dew_point_2m <= temperature_2m, got 10.6 and 10"


def test_a_low_above_its_high_and_a_gust_below_the_wind_are_flagged():
    values = {
        "temperature_2m_min": np.array([12.0]),
        "temperature_2m_max": np.array([11.0]),
        "wind_speed_10m": np.array([9.0]),
        "wind_gusts_10m": np.array([8.0]),
    }
    assert {flag.check for flag in check_values(values)} == {"consistency"}
    assert len(check_values(values)) == 4


def test_missing_values_and_empty_tables_pass():
    assert check_values({"temperature_2m": np.array([NAN, NAN])}) == []
    assert check_values({"temperature_2m": np.array([])}) == []
    assert check_values({}) == []
