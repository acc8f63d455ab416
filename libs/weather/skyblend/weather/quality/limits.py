"""The tables of quality control: a new case is a new row. Canonical units throughout."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Range:
    """What the atmosphere of the earth can do; world records with some room."""

    variable: str
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Order:
    """Two variables of one row of which `lower` is never above `upper` by more than `tolerance`."""

    lower: str
    upper: str
    tolerance: float


@dataclass(frozen=True, slots=True)
class Plausible:
    """How far a value may lie from the other forecasts and beyond the place's seasonal range.

    One that is odd in one respect has to be very odd (`apart`, `beyond`), one that is odd in both
    less so (`apart_both`, `beyond_both`): a forecast bust and a record are real, and rarely at once
    by that much. `step` pairs hours with the change that no real series makes within them.
    """

    variable: str
    apart: float
    apart_both: float
    beyond: float
    beyond_both: float
    bin_width: float
    step: tuple[tuple[float, float], ...]


RANGES = (
    Range("temperature_2m", -95.0, 60.0),
    Range("dew_point_2m", -105.0, 40.0),
    Range("relative_humidity_2m", 0.0, 105.0),
    Range("pressure_msl", 850.0, 1100.0),
    Range("surface_pressure", 300.0, 1100.0),
    Range("wind_speed_10m", 0.0, 115.0),
    Range("wind_gusts_10m", 0.0, 140.0),
    Range("wind_direction_10m", 0.0, 360.0),
    Range("precipitation", 0.0, 600.0),
    Range("precipitation_probability", 0.0, 100.0),
    Range("snowfall", 0.0, 200.0),
    Range("cloud_cover", 0.0, 100.5),
    Range("visibility", 0.0, 500_000.0),
    Range("shortwave_radiation", -5.0, 1600.0),
    Range("weather_code", 0.0, 99.0),
    Range("temperature_2m_max", -95.0, 60.0),
    Range("temperature_2m_min", -95.0, 60.0),
    Range("precipitation_sum", 0.0, 2000.0),
)

ORDERS = (
    Order("dew_point_2m", "temperature_2m", 0.5),
    Order("temperature_2m_min", "temperature_2m_max", 0.5),
    Order("wind_speed_10m", "wind_gusts_10m", 0.5),
)

_INSTANT_TEMPERATURE = ((1.0, 15.0), (3.0, 22.0), (6.0, 28.0), (12.0, 32.0), (24.0, 38.0))
_DAILY_TEMPERATURE = ((12.0, 32.0), (24.0, 38.0))
_PRESSURE = ((1.0, 12.0), (3.0, 25.0), (12.0, 50.0), (24.0, 70.0))

# The spread of real values: the Texas cold wave of February 2021 came 23 K below the forecasts of
# two days before, and the Cascades' valleys lie 20 K off the models of 2004 in an inversion.
PLAUSIBLE = (
    Plausible("temperature_2m", 26.0, 18.0, 20.0, 8.0, 1.0, _INSTANT_TEMPERATURE),
    Plausible("dew_point_2m", 30.0, 20.0, 25.0, 8.0, 1.0, ((1.0, 20.0), (6.0, 34.0), (24.0, 45.0))),
    Plausible("temperature_2m_max", 25.0, 12.0, 20.0, 5.0, 1.0, _DAILY_TEMPERATURE),
    Plausible("temperature_2m_min", 25.0, 12.0, 20.0, 5.0, 1.0, _DAILY_TEMPERATURE),
    Plausible("pressure_msl", 45.0, 20.0, 45.0, 10.0, 2.0, _PRESSURE),
    Plausible("surface_pressure", 60.0, 30.0, 45.0, 10.0, 4.0, _PRESSURE),
    Plausible("wind_speed_10m", 35.0, 20.0, 30.0, 12.0, 1.0, ((1.0, 30.0), (24.0, 50.0))),
    Plausible("wind_gusts_10m", 50.0, 30.0, 45.0, 18.0, 1.0, ((1.0, 45.0), (24.0, 70.0))),
)

RANGE_OF = {limit.variable: limit for limit in RANGES}
PLAUSIBLE_OF = {limit.variable: limit for limit in PLAUSIBLE}
