"""As-of look-ups: the newest run known at a time, and the observation as it was known at a time.

A row that became known later than the time asked is never seen: the tests inject such rows and
see no change.
"""

from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.columns import (
    HOUR,
    Flags,
    Floats,
    ForecastColumns,
    Ints,
    ObservationColumns,
)

# Leads (hours) of which a target is learnt from at most once each: every 6 h for two days, then
# daily to 16 days.
LEAD_EDGES = np.concatenate([np.arange(0, 48, 6), np.arange(48, 385, 24)]).astype(np.int64)


@dataclass(frozen=True, slots=True)
class Samples:
    """Forecast situations: at `cycle`, for `place` and `valid`; int64 arrays of equal length,
    times in us."""

    cycle: Ints
    place: Ints
    valid: Ints

    def __len__(self) -> int:
        return len(self.cycle)

    def take(self, rows: Ints | Flags) -> "Samples":
        return Samples(self.cycle[rows], self.place[rows], self.valid[rows])


@dataclass(frozen=True, slots=True)
class _Index:
    """Sorted (group, known time) pairs that are searched by one composite number."""

    groups: Ints
    times: Ints
    keys: Ints

    @classmethod
    def of(cls, group: Ints, known: Ints) -> "_Index":
        groups, times = np.unique(group), np.unique(known)
        keys = np.searchsorted(groups, group) * (len(times) + 1) + np.searchsorted(times, known)
        return cls(groups, times, keys)

    def last(self, group: Ints, at: Ints) -> Ints:
        """Row of the last entry of each group with known <= at, -1 where there is none."""
        if not len(self.groups):
            return np.full(np.broadcast(group, at).shape, -1)
        number = np.minimum(np.searchsorted(self.groups, group), len(self.groups) - 1)
        rank = np.searchsorted(self.times, at, side="right") - 1
        first = number * (len(self.times) + 1)
        row = np.searchsorted(self.keys, first + rank, side="right") - 1
        there = (self.groups[number] == group) & (rank >= 0) & (row >= 0)
        there &= self.keys[np.maximum(row, 0)] >= first
        return np.where(there, row, -1)


class Targets:
    """Codes of (place, valid time) pairs; -1 for a pair that was not there when the codes were
    made."""

    def __init__(self, place: Ints, valid: Ints) -> None:
        self._valid = np.unique(valid)
        self._width = max(len(self._valid), 1)

    def code(self, place: Ints, valid: Ints) -> Ints:
        if not len(self._valid):
            return np.full(len(place), -1)
        rank = np.minimum(np.searchsorted(self._valid, valid), len(self._valid) - 1)
        return np.where(self._valid[rank] == valid, place * self._width + rank, -1)


class NewestRuns:
    """For each forecaster, place and valid time the runs in the order in which they became
    known."""

    def __init__(self, forecasts: ForecastColumns, forecasters: int) -> None:
        rows, self._forecasters = forecasts.usable(), max(forecasters, 1)
        self._targets = Targets(rows.place, rows.valid)
        group = self._targets.code(rows.place, rows.valid) * self._forecasters + rows.forecaster
        order = np.lexsort((rows.issued, rows.known, group))
        group, rows = group[order], rows.take(order)
        keep = _newest_so_far(group, rows.issued)
        self._rows = rows.take(keep)
        self._index = _Index.of(group[keep], self._rows.known)

    def at(self, samples: Samples) -> tuple[Floats, Floats]:
        """Value and issue time (us, as float) of each forecaster's newest run: two arrays
        [samples, forecasters], NaN where none."""
        target = self._targets.code(samples.place, samples.valid)
        group = target[:, None] * self._forecasters + np.arange(self._forecasters)
        group = np.where(target[:, None] < 0, -1, group)
        row = self._index.last(group, samples.cycle[:, None])
        if not len(self._rows.value):
            return np.full(group.shape, np.nan), np.full(group.shape, np.nan)
        value = np.where(row >= 0, self._rows.value[row], np.nan)
        issued = np.where(row >= 0, self._rows.issued[row].astype(np.float64), np.nan)
        return value, issued


def _newest_so_far(group: Ints, issued: Ints) -> Ints:
    """Rows that are, when they become known, the newest run of their group (rows sorted by
    group, known, issued)."""
    if not len(group):
        return np.zeros(0, dtype=np.int64)
    rank = np.searchsorted(np.unique(issued), issued)
    number = np.cumsum(np.concatenate([[0], np.diff(group) != 0]))
    best = np.maximum.accumulate(number * (rank.max() + 1) + rank)
    return np.flatnonzero(number * (rank.max() + 1) + rank == best)


class Truth:
    """Observations with their versions."""

    def __init__(self, observations: ObservationColumns) -> None:
        rows = observations.usable()
        self._targets = Targets(rows.place, rows.valid)
        group = self._targets.code(rows.place, rows.valid)
        order = np.lexsort((rows.known, group))
        self._rows, self._group = rows.take(order), group[order]
        self._index = _Index.of(self._group, self._rows.known)

    def at(self, samples: Samples, when: int) -> Floats:
        """The observed value of each sample as it was known at `when`, NaN where it was not."""
        target = self._targets.code(samples.place, samples.valid)
        row = self._index.last(target, np.full(len(target), when))
        if not len(self._rows.value):
            return np.full(len(target), np.nan)
        return np.where((row >= 0) & (target >= 0), self._rows.value[row], np.nan)

    def versions(self, samples: Samples) -> tuple[Ints, Ints, Floats, Floats]:
        """All versions of all samples: sample, time at which it became known (never before the
        valid time), value, and the value before it (NaN for the first)."""
        target = self._targets.code(samples.place, samples.valid)
        low = np.searchsorted(self._group, target, side="left")
        count = np.searchsorted(self._group, target, side="right") - low
        count = np.where(target >= 0, count, 0)
        sample = np.repeat(np.arange(len(samples)), count)
        row = np.arange(len(sample)) - np.repeat(np.cumsum(count) - count, count) + low[sample]
        value = self._rows.value[row]
        first = row == low[sample]
        before = np.where(first, np.nan, self._rows.value[np.maximum(row - 1, 0)])
        return sample, np.maximum(self._rows.known[row], samples.valid[sample]), value, before


def learning_samples(forecasts: ForecastColumns) -> Samples:
    """The situations that are learnt from: for each target and lead class the first time in it
    at which the place got a forecast of anything and one of the target was known."""
    rows = forecasts.usable()
    cycles = np.unique(np.stack([rows.place, rows.known]), axis=1)
    order = np.lexsort((rows.known, rows.valid, rows.place))
    place, valid, known = rows.place[order], rows.valid[order], rows.known[order]
    first = np.concatenate([[True], (np.diff(place) != 0) | (np.diff(valid) != 0)])[: len(place)]
    return _first_cycles(place[first], valid[first], known[first], cycles)


def _first_cycles(place: Ints, valid: Ints, known: Ints, cycles: Ints) -> Samples:
    index = _Index.of(cycles[0], cycles[1])
    found: list[tuple[Ints, Ints, Ints]] = []
    for low, high in zip(LEAD_EDGES[:-1] * HOUR, LEAD_EDGES[1:] * HOUR, strict=True):
        after = np.maximum(known, valid - high + 1) - 1
        row = index.last(place, after) + 1
        row = np.where(row > 0, row, np.searchsorted(cycles[0], place))
        row_there = np.minimum(row, max(cycles.shape[1] - 1, 0))
        time = cycles[1][row_there]
        good = (row < cycles.shape[1]) & (cycles[0][row_there] == place)
        good &= (time >= after) & (time <= valid - low) & (time < valid)
        found.append((time[good], place[good], valid[good]))
    columns = [np.concatenate(parts) for parts in zip(*found, strict=True)]
    order = np.lexsort((columns[2], columns[1], columns[0]))
    return Samples(columns[0][order], columns[1][order], columns[2][order])


def asked_samples(forecasts: ForecastColumns, cycle: int) -> Samples:
    """Every (place, valid time) later than `cycle` of which a forecast is known by then, in the
    order of both."""
    rows = forecasts.usable()
    there = (rows.known <= cycle) & (rows.valid > cycle)
    pairs = np.unique(np.stack([rows.place[there], rows.valid[there]]), axis=1)
    return Samples(np.full(pairs.shape[1], cycle), pairs[0], pairs[1])
