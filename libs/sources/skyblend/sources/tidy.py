"""Tidy files of forecasts or observations, CSV or Parquet.

One row for each time, one column for each variable.

Times are ISO 8601 with a zone, names and units canonical, an empty field missing. Without a
`period` column a row is split by each variable's default period. A row that is wrong is refused by
line and column; a wrong header refuses the file.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.cells import Clock, is_id, numbers, rows_of, texts
from skyblend.sources.contract import (
    Attribution,
    Decoded,
    Forecasts,
    Labels,
    Observations,
    Payload,
    Text,
)
from skyblend.sources.duplicates import Seen
from skyblend.sources.tables import Chunk, Table, read_table
from skyblend.sources.tidy_layout import FORECASTS, NAME, POSITION, Layout, layout_of
from skyblend.sources.tidy_rows import Rows
from skyblend.sources.times import Instants, instant
from skyblend.sources.uploaded import Uploaded
from skyblend.weather.variables import BY_NAME, Kind

_LIMITS = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0), "elevation": (-500.0, 9000.0)}
_KINDS = ("station", "analysis", "user")
_LONGEST_PERIOD = 31 * 86400
_TEN_MINUTES = np.timedelta64(600, "s")
_FIRST, _LAST = np.datetime64("1850-01-01"), np.datetime64("2151-01-01")  # what can be weather
_ATTRIBUTION = Attribution(licence="", text="Uploaded by the user", url="", commercial=True)


def _recognises(name: str, head: bytes) -> bool:
    """Parquet, or a first line of CSV with a column that only tidy files have."""
    if head.startswith(b"PAR1"):
        return True
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return name.lower().endswith((".csv", ".csv.gz"))
    first = head.split(b"\n", 1)[0].decode("latin-1").removeprefix("ï»¿")
    columns = {column.strip(' "\r') for column in first.split(",")}
    return not columns.isdisjoint(("place_id", "issued_at", "valid_at", "observed_at"))


def _decode(payload: Payload) -> Iterator[Decoded]:
    """Records and refused rows, chunk after chunk; the records' own source stands in the file.

    Raises BadPayload for a wrong header or a file that cannot be read.
    """
    table = read_table(NAME, payload.body)
    layout = layout_of(table.header)
    with Seen() as seen:
        reader = _Reader(table, layout, seen, received_at=instant(payload.received_at))
        for chunk in table.chunks:
            yield from chunk.refusals
            yield from reader.records(chunk)


@dataclass(frozen=True, slots=True)
class _Columns:
    """A chunk as typed columns; `period` is None where each variable has its own."""

    texts: Mapping[str, Labels]
    times: Mapping[str, Instants]
    positions: Mapping[str, NDArray[np.float64]]
    period: NDArray[np.int32] | None
    values: Mapping[str, NDArray[np.float64]]


class _Reader:
    """Reads the chunks of one file; remembers the times parsed and the keys seen."""

    def __init__(
        self, table: Table, layout: Layout, seen: Seen, *, received_at: np.datetime64
    ) -> None:
        self.word, self.layout, self.received_at = table.row_word, layout, received_at
        self.variables = [name for name in table.header if name in BY_NAME]
        self.clock, self.seen = Clock(), seen
        self.codes: dict[str, int] = {}

    def records(self, chunk: Chunk) -> Iterator[Decoded]:
        """The records of a chunk, then its refused rows."""
        rows = Rows(chunk, self.word)
        columns = self._columns(rows)
        batches = [
            batch
            for period, names in self._periods(columns).items()
            if (batch := self._batch(columns, period, names, rows)) is not None
        ]
        yield from batches
        yield from rows.refusals

    def _columns(self, rows: Rows) -> _Columns:
        columns = _Columns(
            texts={
                name: self._texts(rows, name, default)
                for name, default in self.layout.texts.items()
            },
            times=self._times(rows),
            positions={name: self._position(rows, name) for name in POSITION},
            period=self._period(rows),
            values={name: self._numbers(rows, name) for name in self.variables},
        )
        self._check_times(rows, columns.times)
        self._check_period(rows, columns)
        return columns

    def _texts(self, rows: Rows, name: str, default: str | None) -> Labels:
        """A text column; where it is absent or empty, `default`; without one the row is refused."""
        cells = rows.chunk.cells.get(name)
        if cells is None:
            return Labels((default or "",), np.zeros(len(rows.kept), np.int32))
        labels = texts(cells)
        if default and "" in labels.names:
            labels = texts([labels.names[code] or default for code in labels.codes.tolist()])
        if name == "kind":
            rows.refuse(
                rows_of(labels, set(labels.names).difference(_KINDS)), name, " or ".join(_KINDS)
            )
        else:
            wrong = [text for text in labels.names if not is_id(text) and (text or default is None)]
            expected = (
                "1 to 64 characters without slash, backslash, control characters or a leading dot"
            )
            rows.refuse(rows_of(labels, wrong), name, expected)
        return labels

    def _times(self, rows: Rows) -> dict[str, Instants]:
        times = {name: self._time(rows, name) for name in self.layout.times}
        for name, column in times.items():
            rows.refuse_where(np.isnat(column), name, "a time")
        own = times[self.layout.time]
        if "known_at" not in rows.chunk.cells:
            return times | {"known_at": own}
        known_at = self._time(rows, "known_at")
        return times | {"known_at": np.where(np.isnat(known_at), own, known_at)}

    def _time(self, rows: Rows, name: str) -> Instants:
        column, wrong = self.clock.times(rows.chunk.cells[name])
        rows.refuse(wrong, name, "an ISO 8601 time with Z or an offset")
        return column

    def _check_times(self, rows: Rows, times: Mapping[str, Instants]) -> None:
        own, name = times[self.layout.time], self.layout.time
        soon = self.received_at + _TEN_MINUTES
        latest, bound = (
            (soon, f"{soon}, ten minutes after the receipt")
            if name == "issued_at"
            else (self.received_at, f"{self.received_at}, the receipt")
        )
        rows.refuse_where(own > latest, name, f"a time not after {bound}")
        for column, column_times in times.items():
            far = (column_times < _FIRST) | (column_times >= _LAST)
            rows.refuse_where(far, column, f"a time from {_FIRST} to {_LAST}")
        if "valid_at" in times:
            rows.refuse_where(times["valid_at"] < own, "valid_at", "a time not before issued_at")
        known_at = times["known_at"]
        rows.refuse_where(known_at < own, "known_at", f"a time not before {name}")
        late = f"a time not after {soon}, ten minutes after the receipt"
        rows.refuse_where(known_at > soon, "known_at", late)

    def _position(self, rows: Rows, name: str) -> NDArray[np.float64]:
        column = self._numbers(rows, name)
        low, high = _LIMITS[name]
        rows.refuse_where(
            (column < low) | (column > high), name, f"{low:g} to {high:g}, or nothing"
        )
        return column

    def _numbers(self, rows: Rows, name: str) -> NDArray[np.float64]:
        column, wrong = numbers(rows.chunk.cells[name])
        rows.refuse(wrong, name, "a finite number or nothing")
        return column

    def _period(self, rows: Rows) -> NDArray[np.int32] | None:
        if "period" not in rows.chunk.cells:
            return None
        column = self._numbers(rows, "period")
        good = (column >= 0) & (column <= _LONGEST_PERIOD) & (column == np.floor(column))
        rows.refuse_where(~good, "period", f"whole seconds from 0 to {_LONGEST_PERIOD}")
        return np.where(good, column, 0).astype(np.int32)

    def _check_period(self, rows: Rows, columns: _Columns) -> None:
        if columns.period is None:
            return
        for name, values in columns.values.items():
            instants = BY_NAME[name].kind is Kind.INSTANT
            unfit = (columns.period != 0) if instants else (columns.period == 0)
            expected = f"0 for {name}" if instants else f"more than 0 for {name}"
            rows.refuse_where(unfit & ~np.isnan(values), "period", expected)

    def _periods(self, columns: _Columns) -> dict[int | None, list[str]]:
        """The variables of each batch.

        All are in one where the file states periods; else they are split by their defaults.
        """
        if columns.period is not None:
            return {None: self.variables}
        groups: dict[int | None, list[str]] = {}
        for name in self.variables:
            groups.setdefault(BY_NAME[name].default_period, []).append(name)
        return groups

    def _batch(
        self, columns: _Columns, period: int | None, names: Sequence[str], rows: Rows
    ) -> Forecasts | Observations | None:
        """The rows that stand and have a value of these variables.

        Rows that contradict an earlier one are refused.
        """
        some = np.zeros(len(rows.kept), dtype=np.bool_)
        for name in names:
            some |= ~np.isnan(columns.values[name])
        chosen = np.flatnonzero(some & rows.kept)
        conflicts = self._conflicts(columns, period, names, chosen)
        if conflicts.any():
            rows.refuse(chosen[conflicts].tolist(), "place_id", "one row for each key and known_at")
            chosen = chosen[~conflicts]
        return self._records(columns, period, names, chosen) if chosen.size else None

    def _conflicts(
        self, columns: _Columns, period: int | None, names: Sequence[str], chosen: NDArray[np.intp]
    ) -> NDArray[np.bool_]:
        key = [
            self._coded(labels)[chosen] for name, labels in columns.texts.items() if name != "kind"
        ]
        key += [column[chosen].view(np.int64) for column in columns.times.values()]
        if columns.period is not None:
            key.append(columns.period[chosen].astype(np.int64))
        else:
            key.append(np.full(chosen.size, period, np.int64))
        return self.seen.conflicts(key, [columns.values[name][chosen] for name in names])

    def _coded(self, labels: Labels) -> NDArray[np.int64]:
        """Labels as codes that are the same in every chunk of the file."""
        codes = [self.codes.setdefault(name, len(self.codes)) for name in labels.names]
        return np.array(codes, dtype=np.int64)[labels.codes]

    def _records(
        self, columns: _Columns, period: int | None, names: Sequence[str], chosen: NDArray[np.intp]
    ) -> Forecasts | Observations:
        labels = {name: _chosen(column, chosen) for name, column in columns.texts.items()}
        times = {name: column[chosen] for name, column in columns.times.items()}
        shared = {name: column[chosen] for name, column in columns.positions.items()}
        values = {name: columns.values[name][chosen] for name in names}
        if columns.period is not None:
            length: int | NDArray[np.int32] = columns.period[chosen]
        else:
            length = period or 0
        build = Forecasts if self.layout is FORECASTS else Observations
        return build(**labels, **times, **shared, period=length, values=values)  # type: ignore[arg-type]


def _chosen(labels: Labels, rows: NDArray[np.intp]) -> Text:
    """Some rows of labels and only the names that they use; a text where all are the same."""
    used, codes = np.unique(labels.codes[rows], return_inverse=True)
    names = tuple(labels.names[code] for code in used.tolist())
    return names[0] if len(names) == 1 else Labels(names, codes.astype(np.int32))


tidy = Uploaded(name=NAME, attribution=_ATTRIBUTION, knows=_recognises, reads=_decode)
