"""Forecasts and observations of one series as plain arrays: what features are made of.

Times are int64 microseconds since 1970, UTC. Places and forecasters are codes into the tuples of
`Names`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from skyblend.predict.blend.series import Series
from skyblend.weather.quality import Cases

HOUR = 3_600_000_000
DAY = 24 * HOUR

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class ForecastColumns:
    """One row per version of a forecast; `flagged` rows are not used."""

    place: Ints
    forecaster: Ints
    issued: Ints
    valid: Ints
    known: Ints
    value: Floats
    flagged: Flags

    def usable(self) -> "ForecastColumns":
        """The rows with a value that no check flagged."""
        return self.take(np.flatnonzero(~self.flagged & np.isfinite(self.value)))

    def take(self, rows: Ints) -> "ForecastColumns":
        return ForecastColumns(
            self.place[rows],
            self.forecaster[rows],
            self.issued[rows],
            self.valid[rows],
            self.known[rows],
            self.value[rows],
            self.flagged[rows],
        )


@dataclass(frozen=True, slots=True)
class ObservationColumns:
    """One row per version of an observation; all of one kind at one place."""

    place: Ints
    valid: Ints
    known: Ints
    value: Floats
    flagged: Flags

    def usable(self) -> "ObservationColumns":
        """The rows with a value that no check flagged."""
        return self.take(np.flatnonzero(~self.flagged & np.isfinite(self.value)))

    def take(self, rows: Ints) -> "ObservationColumns":
        return ObservationColumns(
            self.place[rows],
            self.valid[rows],
            self.known[rows],
            self.value[rows],
            self.flagged[rows],
        )


@dataclass(frozen=True, slots=True)
class History:
    """All that is known of one series. `position` is latitude, longitude (degrees) and elevation
    (m) of each place, NaN where unknown; `against` says for each place what it is verified
    against: station, analysis or nothing; `cases` are the forecasts and observations that the
    checks of context looked at."""

    series: Series
    places: tuple[str, ...]
    forecasters: tuple[str, ...]
    position: Floats
    forecasts: ForecastColumns
    observations: ObservationColumns
    against: Mapping[str, str] = field(default_factory=dict)
    cases: tuple[Cases, Cases] = field(default_factory=lambda: (Cases.none(), Cases.none()))
