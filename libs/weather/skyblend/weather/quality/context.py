"""Checks of a value against the other records that were known when it became known.

The outcome for a row depends only on rows with a known_at that is not later, and not on the order
of the rows: training, issuing, export and the quarantine list all see the same.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skyblend.weather.quality.agreement import Others, others
from skyblend.weather.quality.cases import CHECKS, Cases, Floats, Ints, Mask, Times, Verdict
from skyblend.weather.quality.limits import PLAUSIBLE_OF, RANGE_OF, Plausible
from skyblend.weather.quality.season import Bins, SeasonalLimits, seasonal_limits, seasonal_range
from skyblend.weather.quality.step import neighbours_range
from skyblend.weather.variables import BY_NAME

_FEWEST_OTHERS = 2
_SPREADS = 4.0
_JURY = 3  # of a forecaster's own earlier issues
_NO_CHECK, _AGREEMENT, _SEASON, _STEP = range(len(CHECKS))


def check_context(
    variable: str,
    *,
    forecasts: Cases,
    observations: Cases,
    season: SeasonalLimits | None = None,
) -> tuple[Verdict, Verdict]:
    """The verdict on each forecast and on each observation of one variable.

    Agreement: the value lies too far from the median of the other forecasts of its target, from
    two of them on. Season: it lies too far beyond the range of its place at this time of year,
    unless the others confirm it. Step (observations): it differs too much from every neighbour.
    The range is that of the rows themselves, or where `season` is given that of the group with the
    code of the row's place.
    Values that are missing, out of range or of a variable without a row in PLAUSIBLE are left out.
    """
    verdicts = (_unflagged(variable, forecasts), _unflagged(variable, observations))
    limits = PLAUSIBLE_OF.get(variable)
    if limits is None:
        return verdicts
    table = _Table.of(variable, forecasts, observations)
    if table.value.size:
        result = _judge(table, limits, season)
        _spread(result, table, verdicts)
    return verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """Forecasts, then observations, of one variable: the rows that can be judged."""

    row: NDArray[np.intp]
    is_forecast: Mask
    place: Ints
    group: Ints
    forecaster: Ints
    valid_at: Times
    known_at: Times
    value: Floats

    @classmethod
    def of(cls, variable: str, forecasts: Cases, observations: Cases) -> "_Table":
        limit = RANGE_OF[variable]
        parts = (forecasts, observations)
        usable = [(part.value >= limit.low) & (part.value <= limit.high) for part in parts]
        rows = [np.flatnonzero(mask) for mask in usable]

        def joined(name: str) -> NDArray[np.generic]:
            return np.concatenate(
                [getattr(part, name)[row] for part, row in zip(parts, rows, strict=True)]
            )

        return cls(
            row=np.concatenate(rows),
            is_forecast=np.repeat([True, False], [row.size for row in rows]),
            place=joined("place").astype(np.int64),
            group=_codes(joined("place"), joined("period")),
            forecaster=joined("forecaster").astype(np.int64),
            valid_at=joined("valid_at").astype("datetime64[us]"),
            known_at=joined("known_at").astype("datetime64[us]"),
            value=joined("value").astype(np.float64),
        )


@dataclass(slots=True)
class _Result:
    check: NDArray[np.int8]
    low: Floats
    high: Floats

    def add(self, check: int, failed: Mask, low: Floats, high: Floats) -> None:
        """Flag the failed rows that no check flagged before."""
        new = failed & (self.check == _NO_CHECK)
        self.check[new] = check
        self.low[new], self.high[new] = low[new], high[new]


@dataclass(frozen=True, slots=True)
class Standing:
    """What the checks need of the past to judge what is known of times after a moment: the ranges
    of the places by their codes, and the forecasts that were made of such times, as far as they
    count."""

    season: SeasonalLimits
    rows: NDArray[np.intp]


def standing(
    variable: str, *, forecasts: Cases, observations: Cases, at: np.datetime64
) -> Standing:
    """What stands at `at`, when all rows are known: `rows` are those of `forecasts` whose target
    comes after `at` and has values so odd, or so far apart, that the others of it count; and where
    a forecaster is alone with a target its newest three, which are the jury of its next one.

    All rows have one period.
    """
    limits = PLAUSIBLE_OF.get(variable)
    table = _Table.of(variable, forecasts, observations)
    if limits is None or not table.value.size:
        return Standing(SeasonalLimits.none(), np.zeros(0, np.intp))
    columns = table.place, table.valid_at, table.known_at, table.value
    season = seasonal_limits(*columns, bins=_bins(limits), at=at)
    rows = np.flatnonzero(forecasts.valid_at > at)
    told = _Table.of(variable, forecasts.take(rows), Cases.none())
    if not told.value.size:
        return Standing(season, told.row)
    ranges = [
        season.at(told.place, told.valid_at, known)
        for known in (told.known_at, np.full(told.value.shape, at, "datetime64[us]"))
    ]
    beyond = np.maximum(*(_beyond(told, *one) for one in ranges))
    target = _codes(told.group, told.valid_at)
    count = _others_count(target, told.value, beyond, limits=limits) | _newest_alone(target, told)
    return Standing(season, rows[told.row[count]])


def _newest_alone(target: Ints, told: _Table) -> Mask:
    """The newest rows of each target of which one forecaster speaks."""
    order = np.lexsort((told.known_at, target))
    starts = np.flatnonzero(np.diff(target[order], prepend=-1))
    who = told.forecaster[order]
    alone = np.minimum.reduceat(who, starts) == np.maximum.reduceat(who, starts)
    ends = np.append(starts[1:], who.size)[target]
    place = np.empty(who.size, np.int64)
    place[order] = np.arange(who.size)
    return np.asarray(alone[target] & (ends - place <= _JURY))


def _beyond(table: _Table, low: Floats, high: Floats) -> Floats:
    """How far each value lies outside of its range, 0 inside and where there is none."""
    return np.asarray(np.fmax(np.fmax(low - table.value, table.value - high), 0.0))


def _judge(table: _Table, limits: Plausible, season: SeasonalLimits | None) -> _Result:
    size = table.value.size
    result = _Result(np.zeros(size, np.int8), np.full(size, np.nan), np.full(size, np.nan))
    low, high = (
        season.at(table.place, table.valid_at, table.known_at)
        if season is not None
        else seasonal_range(
            table.group, table.valid_at, table.known_at, table.value, bins=_bins(limits)
        )
    )
    beyond = _beyond(table, low, high)
    said = _others_where_needed(table, beyond, limits=limits)
    heard = said.count >= _FEWEST_OTHERS
    alone = np.maximum(limits.apart, _SPREADS * said.spread)
    both = np.maximum(limits.apart_both, _SPREADS * said.spread)
    disagrees = heard & (
        (said.apart > alone) | ((said.apart > both) & (beyond > limits.beyond_both))
    )
    bound = np.where(said.apart > alone, alone, both)
    result.add(_AGREEMENT, disagrees, said.median - bound, said.median + bound)
    confirmed = heard & (said.apart <= both)
    strange = (beyond > limits.beyond) & ~confirmed
    result.add(_SEASON, strange, low - limits.beyond, high + limits.beyond)
    _judge_steps(table, limits, result)
    return result


def _judge_steps(table: _Table, limits: Plausible, result: _Result) -> None:
    rows = np.flatnonzero(~table.is_forecast)
    series = _codes(table.group[rows], table.forecaster[rows])
    low, high = np.full(table.value.shape, np.nan), np.full(table.value.shape, np.nan)
    low[rows], high[rows] = neighbours_range(
        series, table.valid_at[rows], table.known_at[rows], table.value[rows], step=limits.step
    )
    result.add(_STEP, (table.value < low) | (table.value > high), low, high)


def _others_where_needed(table: _Table, beyond: Floats, *, limits: Plausible) -> Others:
    """The others of the rows that could fail; counted as none where all of a target lies close."""
    target = _codes(table.group, table.valid_at)
    needed = _others_count(target, table.value, beyond, limits=limits)
    result = Others.none(table.value.size)
    if needed.any():
        found = others(
            target[needed],
            _codes(table.known_at)[needed],
            table.value[needed],
            is_forecast=table.is_forecast[needed],
            forecaster=table.forecaster[needed],
        )
        result.put(np.flatnonzero(needed), found)
    return result


def _others_count(target: Ints, value: Floats, beyond: Floats, *, limits: Plausible) -> Mask:
    """The rows whose target has values far apart or far beyond the season: all others pass."""
    order = np.argsort(target, kind="stable")
    starts = np.flatnonzero(np.diff(target[order], prepend=-1))
    values = value[order]
    width = np.maximum.reduceat(values, starts) - np.minimum.reduceat(values, starts)
    strange = np.maximum.reduceat(beyond[order], starts) > limits.beyond
    return np.asarray(((width > limits.apart_both) | strange)[target])


def _codes(*columns: NDArray[np.generic]) -> Ints:
    """One code from 0 for each distinct combination, in ascending order of the columns."""
    code = np.zeros(columns[0].shape, np.int64)
    for column in columns:
        found, inverse = np.unique(column, return_inverse=True)
        code = code * max(found.size, 1) + inverse
    return np.unique(code, return_inverse=True)[1].astype(np.int64)


def _bins(limits: Plausible) -> Bins:
    bounds = RANGE_OF[limits.variable]
    count = int(np.ceil((bounds.high - bounds.low) / limits.bin_width))
    return Bins(bounds.low, limits.bin_width, count)


def _unflagged(variable: str, cases: Cases) -> Verdict:
    return Verdict(
        variable=variable,
        unit=BY_NAME[variable].unit,
        value=cases.value,
        check=np.zeros(cases.size, np.int8),
        low=np.full(cases.size, np.nan),
        high=np.full(cases.size, np.nan),
    )


def _spread(result: _Result, table: _Table, verdicts: tuple[Verdict, Verdict]) -> None:
    """Write the outcome of the table's rows into the verdicts on forecasts and observations."""
    for verdict, part in zip(verdicts, (table.is_forecast, ~table.is_forecast), strict=True):
        rows = table.row[part]
        verdict.check[rows] = result.check[part]
        verdict.low[rows], verdict.high[rows] = result.low[part], result.high[part]
