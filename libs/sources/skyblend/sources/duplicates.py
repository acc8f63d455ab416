"""Rows of one file that share a key but not their values, found in memory that does not grow."""

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]
Key = NDArray[np.int64]
Values = NDArray[np.float64]

_HELD = 1 << 17  # keys in memory, of 16 bytes
_ASKED = 64  # segments on the disk that are looked through for a key

_STEPS = ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB))


def hashes(columns: Iterable[Key | Values], length: int) -> Hashes:
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


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The least and the largest number of each column of some keys."""

    low: tuple[int, ...]
    high: tuple[int, ...]

    @classmethod
    def of(cls, columns: Sequence[Key]) -> "_Bounds":
        return cls(
            tuple(int(column.min()) for column in columns),
            tuple(int(column.max()) for column in columns),
        )

    def meets(self, other: "_Bounds") -> bool:
        """Whether a key can be within both."""
        sides = zip(self.low, self.high, other.low, other.high, strict=True)
        return all(low <= high2 and low2 <= high for low, high, low2, high2 in sides)

    def joined(self, other: "_Bounds") -> "_Bounds":
        return _Bounds(tuple(map(min, self.low, other.low)), tuple(map(max, self.high, other.high)))


@dataclass(frozen=True, slots=True)
class _Laid:
    """Keys that were laid aside: where in the scratch file, how many, and their bounds."""

    offset: int
    count: int
    bounds: _Bounds


class Seen:
    """The keys met so far, each with the values of its first row.

    The newest are held in sorted segments that merge as they grow; the others are laid aside in a
    scratch file, which is asked only where a key of the same bounds comes: a file in any order of
    time or place asks for next to nothing, one in no order for all, of which the newest `_ASKED`
    segments (eight million rows) are looked through.
    """

    def __init__(self) -> None:
        self._held: list[tuple[Hashes, Hashes]] = []
        self._bounds: _Bounds | None = None
        self._laid: list[_Laid] = []
        self._scratch: BinaryIO | None = None

    def __enter__(self) -> "Seen":
        return self

    def __exit__(self, *_: object) -> None:
        if self._scratch is not None:
            self._scratch.close()

    def conflicts(self, key: Sequence[Key], values: Sequence[Values]) -> NDArray[np.bool_]:
        """Which rows have a key whose first row, here or before, has other values."""
        length = len(key[0])
        if not length:
            return np.zeros(0, dtype=np.bool_)
        told = hashes(values, length)
        distinct, index, inverse = np.unique(
            hashes(key, length), return_index=True, return_inverse=True
        )
        first = told[index]
        fresh = np.ones(len(distinct), dtype=np.bool_)
        bounds = _Bounds.of(key)
        for known, known_values in self._known(bounds):
            at = np.minimum(np.searchsorted(known, distinct), len(known) - 1)
            found = known[at] == distinct
            first = np.where(found, known_values[at], first)
            fresh &= ~found
        self._add(distinct[fresh], first[fresh], bounds)
        return np.asarray(told != first[inverse])

    def _known(self, bounds: _Bounds) -> Iterator[tuple[Hashes, Hashes]]:
        """The segments that may hold a key within the bounds, one at a time."""
        if self._bounds is not None and self._bounds.meets(bounds):
            yield from self._held
        for laid in self._laid[-_ASKED:]:
            if self._scratch is not None and laid.bounds.meets(bounds):
                self._scratch.seek(laid.offset)
                both = np.frombuffer(self._scratch.read(laid.count * 16), dtype=np.uint64)
                yield both[: laid.count], both[laid.count :]

    def _add(self, keys: Hashes, values: Hashes, bounds: _Bounds) -> None:
        if not keys.size:
            return
        self._bounds = self._bounds.joined(bounds) if self._bounds else bounds
        while self._held and len(self._held[-1][0]) <= 2 * len(keys):
            keys, values = _merged(self._held.pop(), (keys, values))
        self._held.append((keys, values))
        if sum(len(held) for held, _ in self._held) >= _HELD:
            self._lay_aside(reduce(_merged, self._held), self._bounds)
            self._held, self._bounds = [], None

    def _lay_aside(self, segment: tuple[Hashes, Hashes], bounds: _Bounds) -> None:
        if self._scratch is None:
            self._scratch = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - see __exit__
        offset = self._scratch.seek(0, os.SEEK_END)
        for column in segment:
            self._scratch.write(column.data)
        self._laid.append(_Laid(offset, len(segment[0]), bounds))


def _merged(one: tuple[Hashes, Hashes], other: tuple[Hashes, Hashes]) -> tuple[Hashes, Hashes]:
    keys, values = (np.concatenate(pair) for pair in zip(one, other, strict=True))
    order = np.argsort(keys, kind="stable")
    return keys[order], values[order]
