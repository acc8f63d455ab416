"""Decoded items put together: rows of one kind with the same variables, as columns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.contract import Forecasts, Labels, Observations, Text

FORECASTS, OBSERVATIONS = "forecasts", "observations"
_TEXTS = {
    FORECASTS: ("source", "model", "member", "place_id"),
    OBSERVATIONS: ("source", "place_id", "kind"),
}
_TIMES = {FORECASTS: ("issued_at", "valid_at"), OBSERVATIONS: ("observed_at",)}
POSITION = ("latitude", "longitude", "elevation")

Mask = NDArray[np.bool_]
Signature = tuple[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Piece:
    """One decoded item and the member that it came from; `live` where it may be a newest run."""

    item: Forecasts | Observations
    raw: str
    received_at: np.datetime64
    live: bool

    @property
    def signature(self) -> Signature:
        """Kind and variables: pieces that agree in it stand in one block of rows."""
        kind = FORECASTS if isinstance(self.item, Forecasts) else OBSERVATIONS
        return kind, tuple(self.item.values)

    def __len__(self) -> int:
        item = self.item
        return len(item.valid_at if isinstance(item, Forecasts) else item.observed_at)

    def part(self, rows: slice) -> "Piece":
        """Some rows of the piece, in their order."""
        item = self.item
        columns = {f.name: _part(getattr(item, f.name), rows) for f in fields(item)}
        return replace(self, item=replace(item, **columns))


def _part(column: Any, rows: slice) -> Any:
    if isinstance(column, Labels):
        return Labels(column.names, column.codes[rows])
    if isinstance(column, Mapping):
        return {name: values[rows] for name, values in column.items()}
    return column[rows] if isinstance(column, np.ndarray) and column.ndim else column


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """`count` rows as columns: texts as labels, times datetime64[us] UTC, periods in s, positions
    in degrees and m, values in canonical units with NaN where missing."""

    kind: str
    count: int
    texts: Mapping[str, Labels]
    times: Mapping[str, NDArray[np.datetime64]]
    period: NDArray[np.int32]
    position: Mapping[str, NDArray[np.float64]]
    values: Mapping[str, NDArray[np.float64]]
    live: Mask

    @property
    def key(self) -> list[NDArray[np.int64]]:
        """The columns of the key and of known_at, as integers."""
        return [self.end.view(np.int64), *self.run_key]

    @property
    def run_key(self) -> list[NDArray[np.int64]]:
        """The columns of the key and of known_at but the time that a row speaks of, as integers."""
        times = [self.times[name] for name in ("issued_at", "known_at") if name in self.times]
        codes = [self.texts[name].codes for name in _TEXTS[self.kind] if name != "kind"]
        return [
            *(column.view(np.int64) for column in times),
            *(column.astype(np.int64) for column in (*codes, self.period)),
        ]

    @property
    def run_starts(self) -> NDArray[np.int64]:
        """The first row of each run: of rows that follow one another and share the `run_key`."""
        changes = np.ones(self.count, bool)
        changes[1:] = False
        for column in self.run_key:
            changes[1:] |= column[1:] != column[:-1]
        return np.flatnonzero(changes)

    @property
    def end(self) -> NDArray[np.datetime64]:
        """The time that a row speaks of."""
        return self.times["valid_at" if self.kind == FORECASTS else "observed_at"]

    def keep(self, mask: Mask) -> "Rows":
        """The rows where `mask` is true."""
        return self if mask.all() else self.take(np.flatnonzero(mask))

    def take(self, order: NDArray[np.int64]) -> "Rows":
        """The rows of these numbers, in their order."""
        return replace(
            self,
            count=len(order),
            texts={n: Labels(one.names, one.codes[order]) for n, one in self.texts.items()},
            times={n: column[order] for n, column in self.times.items()},
            period=self.period[order],
            position={n: column[order] for n, column in self.position.items()},
            values={n: column[order] for n, column in self.values.items()},
            live=self.live[order],
        )

    def place(self, row: int) -> str:
        """The place of a row."""
        return label(self.texts["place_id"], row)

    def raw(self, row: int) -> str:
        """The raw object, and member, of a row."""
        return label(self.texts["raw"], row)


def label(text: Labels, row: int) -> str:
    """The text of a row."""
    return text.names[int(text.codes[row])]


def concatenate(pieces: Sequence[Piece]) -> Rows:
    """The rows of pieces of one signature, in their order."""
    kind, variables = pieces[0].signature
    items = [piece.item for piece in pieces]
    lengths = np.array([len(piece) for piece in pieces])
    texts = {
        name: _texts([getattr(item, name) for item in items], lengths) for name in _TEXTS[kind]
    }
    times = {
        name: _times([getattr(item, name) for item in items], lengths)
        for name in (*_TIMES[kind], "known_at")
    }
    return Rows(
        kind=kind,
        count=int(lengths.sum()),
        texts=texts | {"raw": _texts([piece.raw for piece in pieces], lengths)},
        times=times | {"received_at": _times([piece.received_at for piece in pieces], lengths)},
        period=_spread([item.period for item in items], lengths, "int32"),
        position={
            name: _floats([getattr(item, name) for item in items], lengths) for name in POSITION
        },
        values={
            name: _floats([item.values[name] for item in items], lengths) for name in variables
        },
        live=np.repeat([piece.live for piece in pieces], lengths),
    )


def _texts(parts: Sequence[Text], lengths: NDArray[np.int64]) -> Labels:
    index: dict[str, int] = {}
    if all(isinstance(part, str) for part in parts):
        codes = np.array(
            [index.setdefault(cast(str, part), len(index)) for part in parts], np.int32
        )
        return Labels(tuple(index), np.repeat(codes, lengths))
    spread = [_codes(part, int(length), index) for part, length in zip(parts, lengths, strict=True)]
    return Labels(tuple(index), np.concatenate(spread))


def _codes(part: Text, length: int, index: dict[str, int]) -> NDArray[np.int32]:
    if isinstance(part, str):
        return np.full(length, index.setdefault(part, len(index)), np.int32)
    new = np.array([index.setdefault(name, len(index)) for name in part.names], np.int32)
    return new[part.codes]


def _times(parts: Sequence[Any], lengths: NDArray[np.int64]) -> NDArray[np.datetime64]:
    return _spread(parts, lengths, "datetime64[us]")


def _floats(parts: Sequence[Any], lengths: NDArray[np.int64]) -> NDArray[np.float64]:
    return _spread(parts, lengths, "float64")


def _spread(parts: Sequence[Any], lengths: NDArray[np.int64], dtype: str) -> NDArray[Any]:
    """The parts, scalars or columns, one after the other."""
    if not any(isinstance(part, np.ndarray) and part.ndim for part in parts):
        return np.repeat(np.array(parts, dtype), lengths)
    columns = [
        np.broadcast_to(np.asarray(part, dtype), (int(length),))
        for part, length in zip(parts, lengths, strict=True)
    ]
    return np.concatenate(columns)
