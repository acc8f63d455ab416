"""The weather variables: canonical names, units and what a value speaks of."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a value of a variable speaks of; all but an instant end at the valid time."""

    INSTANT = "instant"
    SUM = "sum"
    EXTREME = "extreme"
    MEAN = "mean"
    OCCURRENCE = "occurrence"


@dataclass(frozen=True, slots=True)
class Variable:
    """A canonical variable; `default_period` is in seconds and 0 for instants."""

    name: str
    unit: str
    kind: Kind
    default_period: int = 0

    def allows(self, period: int) -> bool:
        """Whether a value over `period` seconds can be one of this variable."""
        return (period == 0) == (self.kind is Kind.INSTANT) and period >= 0


_HOUR, _DAY = 3600, 86400

# The rows of the enum in protos/skyblend/protos/v1/variables.proto; tests/test_protos.py compares.
VARIABLES = (
    Variable("temperature_2m", "degC", Kind.INSTANT),
    Variable("dew_point_2m", "degC", Kind.INSTANT),
    Variable("relative_humidity_2m", "%", Kind.INSTANT),
    Variable("pressure_msl", "hPa", Kind.INSTANT),
    Variable("surface_pressure", "hPa", Kind.INSTANT),
    Variable("wind_speed_10m", "m/s", Kind.INSTANT),
    Variable("wind_gusts_10m", "m/s", Kind.EXTREME, _HOUR),
    Variable("wind_direction_10m", "deg", Kind.INSTANT),
    Variable("precipitation", "mm", Kind.SUM, _HOUR),
    Variable("precipitation_probability", "%", Kind.OCCURRENCE, _HOUR),
    Variable("snowfall", "cm", Kind.SUM, _HOUR),
    Variable("cloud_cover", "%", Kind.INSTANT),
    Variable("visibility", "m", Kind.INSTANT),
    Variable("shortwave_radiation", "W/m2", Kind.MEAN, _HOUR),
    Variable("weather_code", "wmo", Kind.INSTANT),
    Variable("temperature_2m_max", "degC", Kind.EXTREME, _DAY),
    Variable("temperature_2m_min", "degC", Kind.EXTREME, _DAY),
    Variable("precipitation_sum", "mm", Kind.SUM, _DAY),
)

BY_NAME = {variable.name: variable for variable in VARIABLES}
NAMES = tuple(BY_NAME)
