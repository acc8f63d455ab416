"""Time series of many forecasters and places, stacked to few long batches of records."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.contract import Floats, Forecasts, Labels, Observations, Periods, Text, Times
from skyblend.sources.times import Instants

Column = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Position:
    """A place as an answer states it; NaN where unknown."""

    id: str
    latitude: float
    longitude: float
    elevation: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """The columns of one forecaster, or of observations, at one place and of one period."""

    place: Position
    model: str = ""
    member: str = ""
    issued_at: Times
    valid_at: Instants
    known_at: Times
    period: Periods
    values: Mapping[str, Column]


def forecasts(source: str, series: Iterable[Series]) -> Iterator[Forecasts]:
    """One batch for each period among the series; rows without any value are left out."""
    for group in _groups(series):
        stack = _Stack.of(group)
        if stack.kept.any():
            yield Forecasts(
                source=source,
                model=stack.text([one.model for one in group]),
                member=stack.text([one.member for one in group]),
                place_id=stack.text([one.place.id for one in group]),
                issued_at=stack.times([one.issued_at for one in group]),
                valid_at=stack.column([one.valid_at for one in group]),
                period=stack.periods([one.period for one in group]),
                known_at=stack.times([one.known_at for one in group]),
                latitude=stack.floats([one.place.latitude for one in group]),
                longitude=stack.floats([one.place.longitude for one in group]),
                elevation=stack.floats([one.place.elevation for one in group]),
                values=stack.values,
            )


def observations(source: str, kind: str, series: Iterable[Series]) -> Iterator[Observations]:
    """As `forecasts`: one batch of observations of a kind for each period among the series."""
    for group in _groups(series):
        stack = _Stack.of(group)
        if stack.kept.any():
            yield Observations(
                source=source,
                kind=kind,
                place_id=stack.text([one.place.id for one in group]),
                observed_at=stack.column([one.valid_at for one in group]),
                period=stack.periods([one.period for one in group]),
                known_at=stack.times([one.known_at for one in group]),
                latitude=stack.floats([one.place.latitude for one in group]),
                longitude=stack.floats([one.place.longitude for one in group]),
                elevation=stack.floats([one.place.elevation for one in group]),
                values=stack.values,
            )


def _groups(series: Iterable[Series]) -> list[list[Series]]:
    groups: dict[int, list[Series]] = {}
    for one in series:
        period = one.period if isinstance(one.period, int) else -1
        groups.setdefault(period, []).append(one)
    return list(groups.values())


@dataclass(frozen=True, slots=True)
class _Stack:
    """Columns of several series on one another.

    `lengths` is that of each; `kept` marks the rows with a value.
    """

    lengths: NDArray[np.intp]
    kept: NDArray[np.bool_]
    values: dict[str, Column]

    @classmethod
    def of(cls, group: Sequence[Series]) -> "_Stack":
        lengths = np.array([len(one.valid_at) for one in group])
        blanks = {length: np.full(length, np.nan) for length in set(lengths.tolist())}
        names = dict.fromkeys(name for one in group for name in one.values)
        values = {
            name: np.concatenate([one.values.get(name, blanks[len(one.valid_at)]) for one in group])
            for name in names
        }
        missing = np.ones(int(lengths.sum()), dtype=np.bool_)
        for column in values.values():
            missing &= np.isnan(column)
        kept = ~missing
        if missing.any():
            values = {name: column[kept] for name, column in values.items()}
        return cls(lengths, kept, values)

    def text(self, names: Sequence[str]) -> Text:
        """A text for each series as one column."""
        distinct = {name: code for code, name in enumerate(dict.fromkeys(names))}
        if len(distinct) == 1:
            return names[0]
        codes = np.array([distinct[name] for name in names], dtype=np.int32)
        return Labels(tuple(distinct), np.repeat(codes, self.lengths)[self.kept])

    def floats(self, numbers: Sequence[float]) -> Floats:
        """A number for each series as one column."""
        if len(set(numbers)) == 1:
            return numbers[0]
        return np.repeat(np.array(numbers, dtype=np.float64), self.lengths)[self.kept]

    def column(self, columns: Sequence[Instants]) -> Instants:
        """A column of times for each series as one."""
        return np.concatenate(columns)[self.kept]

    def times(self, times: Sequence[Times]) -> Times:
        """A time, or a column of them, for each series as one."""
        first = times[0]
        if isinstance(first, np.datetime64) and all(time is first for time in times):
            return first
        return self.column([self._filled(time, n) for n, time in enumerate(times)])

    def _filled(self, time: Times, index: int) -> Instants:
        return np.broadcast_to(np.asarray(time, "datetime64[us]"), (int(self.lengths[index]),))

    def periods(self, periods: Sequence[Periods]) -> Periods:
        """The period of all series, or a column of periods."""
        first = periods[0]
        if isinstance(first, int):
            return first
        filled = [np.asarray(period, dtype=np.int32) for period in periods]
        return np.concatenate(filled)[self.kept]
