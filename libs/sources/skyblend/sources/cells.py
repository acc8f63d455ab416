"""Columns of text cells as typed columns.

A regular column is read at once; in another, what is wrong is found cell by cell.
"""

import math
import re
from collections.abc import Iterable, Sequence

import numpy as np
import orjson
from numpy.typing import NDArray
from skyblend.sources.contract import Labels
from skyblend.sources.tables import Cells
from skyblend.sources.times import Instants, zoned

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_PLAIN = {float, int, type(None)}
_UNKNOWN = re.compile(r"[\x00-\x1f\x7f/\\]|^\.")
_MOST_TIMES = 200_000  # distinct texts kept
_NAT = np.datetime64("NaT", "us").astype(np.int64)


def numbers(cells: Cells) -> tuple[NDArray[np.float64], list[int]]:
    """Cells as float64, an empty one NaN; and the indices of those that are no finite number."""
    if isinstance(cells, np.ndarray):
        if cells.dtype.kind != "f":
            return np.full(len(cells), np.nan), list(range(len(cells)))
        return cells, np.flatnonzero(np.isinf(cells)).tolist()
    column = _regular(cells)
    return _irregular(cells) if column is None else (column, [])


def _regular(cells: Sequence[str]) -> NDArray[np.float64] | None:
    """A column that reads as JSON numbers; None for any other."""
    try:
        values = orjson.loads("[" + ",".join([cell or "null" for cell in cells]) + "]")
    except orjson.JSONDecodeError:
        return None
    if len(values) != len(cells) or not _PLAIN.issuperset(map(type, values)):
        return None
    if values.count(None) != cells.count(""):
        return None
    column = np.array(values, dtype=np.float64)
    return None if np.isinf(column).any() else column


def _irregular(cells: Sequence[str]) -> tuple[NDArray[np.float64], list[int]]:
    column = np.full(len(cells), np.nan)
    wrong: list[int] = []
    for index, cell in enumerate(cells):
        text = cell.strip()
        if not text:
            continue
        value = float(text) if _NUMBER.fullmatch(text) else np.inf
        if np.isinf(value):
            wrong.append(index)
        else:
            column[index] = value
    return column, wrong


class Clock:
    """Reads columns of times; a text that comes again is parsed once."""

    def __init__(self) -> None:
        self._known: dict[str, int] = {}

    def times(self, cells: Cells) -> tuple[Instants, list[int]]:
        """Cells as datetime64[us] in UTC, an empty one NaT.

        The second value is the indices of the cells that are no time with a zone.
        """
        if isinstance(cells, np.ndarray):
            if cells.dtype.kind != "M":
                return np.full(len(cells), np.datetime64("NaT", "us")), list(range(len(cells)))
            return cells, []
        if len(self._known) > _MOST_TIMES:
            self._known.clear()
        for text in set(cells).difference(self._known):
            self._known[text] = _microseconds(text)
        column = np.fromiter(map(self._known.__getitem__, cells), np.int64, len(cells))
        missing = np.flatnonzero(column == _NAT).tolist()
        return column.view("datetime64[us]"), [i for i in missing if cells[i].strip()]


def _microseconds(text: str) -> int:
    try:
        return int(zoned(text.strip()).astype(np.int64))
    except ValueError:
        return int(_NAT)


def texts(cells: Cells) -> Labels:
    """Cells as labels, names in the order of their first appearance."""
    if isinstance(cells, np.ndarray):
        cells = ["" if math.isnan(cell) else f"{cell:.0f}" for cell in cells.tolist()]
    codes = {name: code for code, name in enumerate(dict.fromkeys(cells))}
    column = np.fromiter(map(codes.__getitem__, cells), np.int32, len(cells))
    return Labels(tuple(codes), column)


def rows_of(labels: Labels, wrong: Iterable[str]) -> list[int]:
    """The rows that hold one of the names."""
    bad = set(wrong)
    codes = [code for code, name in enumerate(labels.names) if name in bad]
    return np.flatnonzero(np.isin(labels.codes, codes)).tolist() if codes else []


def is_id(text: str) -> bool:
    """Whether a text can be an id.

    1 to 64 characters without slash, backslash, control characters or a leading dot.
    """
    return 0 < len(text) <= 64 and not _UNKNOWN.search(text)
