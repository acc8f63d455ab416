"""Checks that need only the payload: range and internal consistency."""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from skyblend.weather.quality.cases import Flag
from skyblend.weather.quality.limits import ORDERS, RANGE_OF, Order, Range

Floats = NDArray[np.float64]


def check_values(values: Mapping[str, Floats]) -> list[Flag]:
    """The values of a table of records that fail; columns of equal length, NaN where missing.

    Of two that contradict each other both are flagged: neither can be trusted.
    """
    flags = [flag for name in values for flag in _out_of_range(values[name], RANGE_OF[name])]
    for order in ORDERS:
        if order.lower in values and order.upper in values:
            flags.extend(_out_of_order(values[order.lower], values[order.upper], order))
    return flags


def _out_of_range(column: Floats, limit: Range) -> Iterator[Flag]:
    if not column.size or (
        np.fmin.reduce(column) >= limit.low and np.fmax.reduce(column) <= limit.high
    ):
        return
    expected = f"expected {limit.low:g} to {limit.high:g}"
    for row in np.flatnonzero((column < limit.low) | (column > limit.high)).tolist():
        yield Flag(row, limit.variable, "range", f"{expected}, got {column[row]:g}")


def _out_of_order(lower: Floats, upper: Floats, order: Order) -> Iterator[Flag]:
    for row in np.flatnonzero(lower - upper > order.tolerance).tolist():
        reason = f"expected {order.lower} <= {order.upper}, got {lower[row]:g} and {upper[row]:g}"
        yield Flag(row, order.lower, "consistency", reason)
        yield Flag(row, order.upper, "consistency", reason)
