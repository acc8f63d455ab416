"""What the checks read and what they answer."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Times = NDArray[np.datetime64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Flag:
    """One value that failed a check: the row's index, and what was expected and what came."""

    row: int
    variable: str
    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Rows of one variable as columns of equal length, versions included, in any order.

    `place` and `forecaster` are integer codes, the same in forecasts and observations for places;
    of observations `forecaster` is the code of the source. Times are datetime64 in UTC, `period`
    in seconds, `value` in the canonical unit and NaN where missing.
    """

    place: NDArray[np.integer]
    forecaster: NDArray[np.integer]
    period: NDArray[np.integer]
    valid_at: Times
    known_at: Times
    value: Floats

    @property
    def size(self) -> int:
        """Number of rows."""
        return self.value.size

    def take(self, rows: NDArray[np.intp]) -> "Cases":
        """Some of the rows, in this order."""
        return Cases(
            place=self.place[rows],
            forecaster=self.forecaster[rows],
            period=self.period[rows],
            valid_at=self.valid_at[rows],
            known_at=self.known_at[rows],
            value=self.value[rows],
        )

    def with_rows(self, more: "Cases") -> "Cases":
        """These rows, then more."""
        return Cases(
            place=np.concatenate([self.place, more.place]),
            forecaster=np.concatenate([self.forecaster, more.forecaster]),
            period=np.concatenate([self.period, more.period]),
            valid_at=np.concatenate([self.valid_at, more.valid_at]),
            known_at=np.concatenate([self.known_at, more.known_at]),
            value=np.concatenate([self.value, more.value]),
        )

    @classmethod
    def none(cls) -> "Cases":
        """No rows."""
        codes = np.empty(0, np.int64)
        times = np.empty(0, "datetime64[us]")
        return cls(
            place=codes,
            forecaster=codes,
            period=codes,
            valid_at=times,
            known_at=times,
            value=np.empty(0),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The outcome for each row: the check that failed ("" for none) and the limits it was held to.

    `check` holds indices into CHECKS; `low` and `high` are NaN where nothing failed.
    """

    variable: str
    unit: str
    value: Floats
    check: NDArray[np.int8]
    low: Floats
    high: Floats

    @property
    def flagged(self) -> Mask:
        """Which rows failed a check."""
        return self.check > 0

    def flags(self) -> list[Flag]:
        """The failed rows with their reasons, in the order of the rows."""
        return [self._flag(int(row)) for row in np.flatnonzero(self.flagged)]

    def _flag(self, row: int) -> Flag:
        check = CHECKS[int(self.check[row])]
        limits = f"{self.low[row]:.1f} to {self.high[row]:.1f} {self.unit}"
        reason = f"expected {limits} ({REFERENCES[check]}), got {self.value[row]:.1f}"
        return Flag(row, self.variable, check, reason)


CHECKS = ("", "agreement", "season", "step")
REFERENCES = {
    "agreement": "the other forecasts known at the time",
    "season": "the place's own range at this time of year",
    "step": "the observations before and after",
}
