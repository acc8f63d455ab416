"""Which series are blended, and how: one row per variable.

A series is a variable with its period: an extreme of 12 hours and one of 24 are two series and
share nothing.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEVELS: NDArray[np.float64] = np.round(np.arange(0.05, 0.96, 0.05), 2)
"""The 19 levels of the quantiles that are forecast."""


@dataclass(frozen=True, slots=True)
class Blended:
    """How a variable is blended: `error_limit` bounds one error's influence, `spread` is the
    default standard deviation (lead in hours, spread), interpolated; all in the variable's unit.
    `distribution` names the predictive family."""

    variable: str
    distribution: str
    error_limit: float
    spread: tuple[tuple[float, float], ...]


_TEMPERATURE = ((0.0, 1.6), (24.0, 2.0), (72.0, 2.7), (120.0, 3.6), (240.0, 5.5))

# Default spreads: roughly the error of a raw forecast for a point (2 to 2.5 degC on the first two
# days in the archives).
BLENDED = {
    row.variable: row
    for row in (
        Blended("temperature_2m", "normal", 15.0, _TEMPERATURE),
        Blended("temperature_2m_max", "normal", 15.0, _TEMPERATURE),
        Blended("temperature_2m_min", "normal", 15.0, _TEMPERATURE),
    )
}


@dataclass(frozen=True, slots=True, order=True)
class Series:
    """A variable and its period in seconds; `key` is its name in champion.json and skill.json."""

    variable: str
    period: int

    @property
    def key(self) -> str:
        return f"{self.variable}/{self.period}"

    @property
    def blended(self) -> Blended:
        return BLENDED[self.variable]

    @classmethod
    def parse(cls, key: str) -> "Series":
        """The opposite of `key`."""
        variable, _, period = key.partition("/")
        return cls(variable, int(period))


def default_spread(series: Series, lead: NDArray[np.float64]) -> NDArray[np.float64]:
    """Standard deviation of a forecast of `lead` hours where nothing was measured."""
    hours, spread = zip(*series.blended.spread, strict=True)
    return np.asarray(np.interp(lead, hours, spread), dtype=np.float64)


def forecaster(source: str, model: str) -> str:
    """The name of a forecaster in a blend: the source and, where it has several, the model."""
    return f"{source}/{model}" if model else source
