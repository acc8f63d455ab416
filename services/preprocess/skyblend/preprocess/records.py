"""Record files: checked rows as Parquet, one file for the forecasts and one for the observations of
a raw object.

A file is written in blocks of bounded size, so that memory does not depend on the upload's size,
and holds nothing but what the raw object says: a repeat writes the same bytes."""

import tempfile
from collections.abc import Sequence
from typing import Any, BinaryIO, cast

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from skyblend.preprocess.rows import FORECASTS, OBSERVATIONS, Rows
from skyblend.runtime.tables import columns
from skyblend.weather.quality import Flag

_UTC = pa.timestamp("us", tz="UTC")
# Columns that readers choose by; the bounds of values are asked by nobody.
_CHOSEN = {
    *("source", "model", "place_id", "period", "raw"),
    *("issued_at", "valid_at", "observed_at", "known_at", "received_at"),
}


class RecordFiles:
    """The record files of one raw object while they are written, in temporary files."""

    def __init__(self) -> None:
        self.written = {FORECASTS: 0, OBSERVATIONS: 0}
        self.variables: dict[str, set[str]] = {FORECASTS: set(), OBSERVATIONS: set()}
        self._files: dict[str, BinaryIO] = {}
        self._writers: dict[str, pq.ParquetWriter] = {}

    def write(self, rows: Rows, flags: Sequence[Flag]) -> None:
        """Append a block of rows with the flags of its values."""
        if not rows.count:
            return
        table = to_table(rows, flags)
        self._writer(rows.kind, table.schema).write_table(table, row_group_size=rows.count)
        self.written[rows.kind] += rows.count
        self.variables[rows.kind] |= rows.values.keys()

    def finished(self, kind: str) -> BinaryIO | None:
        """The whole file, at its start; None where there are no rows of the kind."""
        if kind not in self._files:
            return None
        self._writers[kind].close()
        self._files[kind].seek(0)
        return self._files[kind]

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()
        for file in self._files.values():
            file.close()

    def _writer(self, kind: str, schema: pa.Schema) -> pq.ParquetWriter:
        if kind not in self._writers:
            self._files[kind] = cast(BinaryIO, tempfile.TemporaryFile())  # noqa: SIM115 - see close
            self._writers[kind] = pq.ParquetWriter(
                self._files[kind],
                schema,
                compression="zstd",
                compression_level=1,
                write_statistics=[name for name in schema.names if name in _CHOSEN],
                store_schema=False,  # texts are plain strings to a reader
            )
        return self._writers[kind]


def to_table(rows: Rows, flags: Sequence[Flag]) -> pa.Table:
    """Rows in the columns of the tables; texts as dictionaries, a missing value as null."""
    schema = columns.forecasts() if rows.kind == FORECASTS else columns.observations()
    arrays = [_array(rows, field, flags) for field in schema]
    fields = [
        pa.field(f.name, a.type, nullable=f.nullable) for f, a in zip(schema, arrays, strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _array(rows: Rows, field: "pa.Field[Any]", flags: Sequence[Flag]) -> "pa.Array[Any]":
    name = field.name
    if name in rows.texts:
        text = rows.texts[name]
        return pa.DictionaryArray.from_arrays(text.codes, pa.array(text.names, pa.string()))
    if name in rows.times:
        return pa.array(rows.times[name]).cast(_UTC)
    if name == "period":
        return pa.array(rows.period)
    if name == "flags":
        return _flags(flags, rows.count, field.type)
    column = rows.position.get(name, rows.values.get(name))
    return pa.nulls(rows.count, field.type) if column is None else _nullable(column)


def _nullable(column: NDArray[np.float64]) -> "pa.Array[Any]":
    missing = np.isnan(column)
    return pa.array(column, mask=missing) if missing.any() else pa.array(column)


def _flags(flags: Sequence[Flag], count: int, kind: Any) -> "pa.Array[Any]":
    """The flags of each row as a list, in the order of the checks."""
    ordered = sorted(flags, key=_row)
    per_row = np.zeros(count, np.int64)
    np.add.at(per_row, np.array([flag.row for flag in ordered], np.int64), 1)
    offsets = np.concatenate([[0], np.cumsum(per_row)]).astype(np.int32)
    told = [{"variable": f.variable, "check": f.check, "reason": f.reason} for f in ordered]
    values: Any = pa.array(told, kind.value_type)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values, type=kind)


def _row(flag: Flag) -> int:
    return flag.row
