"""Rows of one file that share a key but not their values, found in 16 bytes a row."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def hashes(columns: Iterable[NDArray[np.int64] | NDArray[np.float64]], length: int) -> Hashes:
    """A 64-bit hash of each row (splitmix64); all NaN are alike, and so are 0 and -0."""
    rows = np.zeros(length, dtype=np.uint64)
    for column in columns:
        if column.dtype.kind == "f":
            column = np.where(np.isnan(column), np.nan, column + 0.0)  # noqa: PLW2901
        rows = _mixed(rows + np.uint64(0x9E3779B97F4A7C15) ^ column.view(np.uint64))
    return rows


def _mixed(rows: Hashes) -> Hashes:
    for shift, factor in _STEPS:
        rows = (rows ^ (rows >> np.uint64(shift))) * np.uint64(factor)
    return rows ^ (rows >> np.uint64(31))


class Seen:
    """The keys met so far, each with the values of its first row.

    They are kept as sorted segments that merge as they grow.
    """

    def __init__(self) -> None:
        self._segments: list[tuple[Hashes, Hashes]] = []

    def conflicts(self, keys: Hashes, values: Hashes) -> NDArray[np.bool_]:
        """Which rows have a key whose first row, here or before, has other values."""
        distinct, index, inverse = np.unique(keys, return_index=True, return_inverse=True)
        first = values[index]
        fresh = np.ones(len(distinct), dtype=np.bool_)
        for known, known_values in self._segments:
            at = np.minimum(np.searchsorted(known, distinct), len(known) - 1)
            found = known[at] == distinct
            first = np.where(found, known_values[at], first)
            fresh &= ~found
        self._add(distinct[fresh], first[fresh])
        return np.asarray(values != first[inverse])

    def _add(self, keys: Hashes, values: Hashes) -> None:
        if not keys.size:
            return
        while self._segments and len(self._segments[-1][0]) <= 2 * len(keys):
            other_keys, other_values = self._segments.pop()
            keys = np.concatenate([other_keys, keys])
            values = np.concatenate([other_values, values])
            order = np.argsort(keys, kind="stable")
            keys, values = keys[order], values[order]
        self._segments.append((keys, values))
