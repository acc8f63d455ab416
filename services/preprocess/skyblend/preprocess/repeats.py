"""Rows that say the same twice, and rows of one file that contradict each other.

Both are looked for among the rows that are written together (one block, at most 65,536 rows), so
that memory does not grow with the upload. A repeat farther away costs its bytes and nothing else:
the views count it once."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skyblend.preprocess.checks import refuse
from skyblend.preprocess.entries import Entries
from skyblend.preprocess.rows import Mask, Rows

_MIX = np.uint64(0x9E3779B97F4A7C15)
_EXPECTED = "one set of values for a key and its known_at"


def without_repeats(rows: Rows, entries: Entries) -> Rows:
    """The rows without exact repeats (key, known_at, values). Of two in one member that disagree
    about a value the later one is refused."""
    if _is_ascending(rows):
        return rows
    key = rows.key
    mixed = _mixed(key)
    if _are_distinct(mixed):
        return rows
    first = _first_of_each(mixed)
    again = first != np.arange(rows.count)
    again &= np.logical_and.reduce([column == column[first] for column in key])
    repeated = again & np.logical_and.reduce([_same(c, c[first]) for c in rows.values.values()])
    contradicting = again & _contradicting(rows, first)
    for row in np.flatnonzero(contradicting):
        refuse(rows, int(row), _EXPECTED, _got(rows, int(row), int(first[row])), entries)
    return rows.keep(~(repeated | contradicting))


def _is_ascending(rows: Rows) -> bool:
    """Whether each run's times ascend and no run comes twice, so that no key can; most sources give
    their rows so."""
    starts, end = rows.run_starts, rows.end
    ascending = np.ones(rows.count, bool)
    ascending[1:] = end[1:] > end[:-1]
    ascending[starts] = True
    if not ascending.all():
        return False
    return _are_distinct(_mixed([column[starts] for column in rows.run_key]))


def _are_distinct(hashes: NDArray[np.uint64]) -> bool:
    ordered = np.sort(hashes)
    return not (ordered[1:] == ordered[:-1]).any()


def _mixed(key: Sequence[NDArray[np.int64]]) -> NDArray[np.uint64]:
    """A hash of each row's key; equal ones are compared in full."""
    mixed = np.zeros(key[0].size, np.uint64)
    for column in key:
        mixed ^= column.view(np.uint64)
        mixed *= _MIX
        mixed ^= mixed >> np.uint64(29)
    return mixed


def _first_of_each(mixed: NDArray[np.uint64]) -> NDArray[np.int64]:
    """For each row the first one with the same hash."""
    _, first, group = np.unique(mixed, return_index=True, return_inverse=True)
    found: NDArray[np.int64] = first[group]
    return found


def _same(one: NDArray[np.float64], other: NDArray[np.float64]) -> Mask:
    same: Mask = (one == other) | (np.isnan(one) & np.isnan(other))
    return same


def _contradicting(rows: Rows, first: NDArray[np.int64]) -> Mask:
    members = rows.texts["raw"].codes
    differ = [(c != c[first]) & ~np.isnan(c) & ~np.isnan(c[first]) for c in rows.values.values()]
    contradicting: Mask = np.logical_or.reduce(differ) & (members == members[first])
    return contradicting


def _got(rows: Rows, row: int, first: int) -> str:
    both = ((n, column[first], column[row]) for n, column in rows.values.items())
    return "; ".join(f"{n} {a:g} and {b:g}" for n, a, b in both if abs(a - b) > 0)
