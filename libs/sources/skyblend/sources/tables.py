"""CSV and Parquet read in chunks of rows, so that a file ten times as long needs no more memory."""

import codecs
import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.contract import BadPayload, Refusal

CHUNK = 16384  # rows
LONGEST = 1 << 20  # bytes of one line

Cells = Sequence[str] | NDArray[Any]


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some rows as columns, text or already typed; `rows` are their numbers in the file."""

    cells: Mapping[str, Cells]
    rows: NDArray[np.int64]
    refusals: Sequence[Refusal] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A file's header and its chunks; `row_word` is what its rows are called in messages."""

    header: tuple[str, ...]
    row_word: str
    chunks: Iterator[Chunk]


def read_table(source: str, body: BinaryIO) -> Table:
    """A CSV or Parquet file by its first bytes.

    Raises BadPayload, also while the chunks are read.
    """
    is_parquet = body.read(4) == b"PAR1"
    body.seek(0)
    return _parquet(source, body) if is_parquet else _csv(source, body)


def _csv(source: str, body: BinaryIO) -> Table:
    reader = csv.reader(_lines(source, body), strict=True)
    try:
        header = next(reader, None)
    except csv.Error as error:
        raise BadPayload(source, where="line 1", expected="CSV", got=str(error)) from error
    if not header:
        raise BadPayload(source, where="line 1", expected="a header", got="an empty line")
    names = tuple(name.strip() for name in header)
    return Table(names, "line", _csv_chunks(source, reader, names))


def _lines(source: str, body: BinaryIO) -> Iterator[str]:
    """The lines of UTF-8 text, a byte order mark dropped."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest, offset = "", 0
    while True:
        chunk = body.read(1 << 18)
        offset += len(chunk)
        try:
            text = rest + decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            where = f"byte {offset - len(error.object) + error.start}"
            got = f"byte 0x{error.object[error.start]:02x}"
            raise BadPayload(source, where=where, expected="UTF-8 text", got=got) from error
        *whole, rest = text.split("\n")
        for line in whole:
            yield line + "\n"
        if len(rest) > LONGEST:
            expected = f"a line of at most {LONGEST} bytes"
            raise BadPayload(source, where=f"byte {offset}", expected=expected, got="a longer one")
        if not chunk:
            break
    if rest:
        yield rest


def _csv_chunks(source: str, reader: Any, header: Sequence[str]) -> Iterator[Chunk]:
    """`reader` is a csv.reader behind its header."""
    while True:
        rows: list[list[str]] = []
        numbers: list[int] = []
        refusals: list[Refusal] = []
        try:
            for row in reader:
                if len(row) == len(header):
                    rows.append(row)
                    numbers.append(reader.line_num)
                elif row:
                    refusals.append(_ragged(reader.line_num, row, len(header)))
                if len(rows) + len(refusals) == CHUNK:
                    break
        except csv.Error as error:
            where = f"line {reader.line_num}"
            raise BadPayload(source, where=where, expected="CSV", got=str(error)) from error
        if not rows and not refusals:
            return
        columns = zip(*rows, strict=True) if rows else ([] for _ in header)
        yield Chunk(dict(zip(header, columns, strict=True)), np.array(numbers, np.int64), refusals)


def _ragged(line: int, row: Sequence[str], fields: int) -> Refusal:
    sample = ",".join(row)[:80]
    return Refusal(f"line {line}", f"{fields} fields", f"{len(row)} fields", sample)


def _parquet(source: str, body: BinaryIO) -> Table:
    import pyarrow  # noqa: PLC0415  (heavy, and absent where nothing is decoded)
    import pyarrow.parquet  # noqa: PLC0415

    try:
        file = pyarrow.parquet.ParquetFile(body)
        names = tuple(file.schema_arrow.names)
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _not_parquet(source, error) from error
    return Table(names, "row", _parquet_chunks(source, file))


def _not_parquet(source: str, error: Exception) -> BadPayload:
    got = str(error).split("\n", 1)[0][:120]
    return BadPayload(source, where="the file", expected="Parquet", got=got)


def _parquet_chunks(source: str, file: Any) -> Iterator[Chunk]:
    import pyarrow  # noqa: PLC0415

    done = 0
    try:
        for batch in file.iter_batches(batch_size=CHUNK):
            cells = {
                name: _arrow_cells(source, name, column)
                for name, column in zip(batch.schema.names, batch.columns, strict=True)
                if name != "flags"
            }
            yield Chunk(cells, np.arange(done + 1, done + batch.num_rows + 1))
            done += batch.num_rows
    except (pyarrow.ArrowException, OSError, ValueError) as error:
        raise _not_parquet(source, error) from error


def _arrow_cells(source: str, name: str, column: Any) -> Cells:
    """A column of Arrow as text, float64 or datetime64[us]; a null is empty, NaN or NaT."""
    import pyarrow  # noqa: PLC0415

    types = pyarrow.types
    kind = column.type
    if types.is_dictionary(kind):
        return _arrow_cells(source, name, column.dictionary_decode())
    if types.is_timestamp(kind) and kind.tz:
        utc: NDArray[Any] = column.cast(pyarrow.timestamp("us", tz="UTC")).to_numpy(
            zero_copy_only=False
        )
        return utc.astype("datetime64[us]")
    if types.is_integer(kind) or types.is_floating(kind):
        floats: NDArray[Any] = column.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
        return floats
    if types.is_string(kind) or types.is_large_string(kind) or types.is_null(kind):
        return [text or "" for text in column.to_pylist()]
    expected = "text, numbers or times with a zone"
    raise BadPayload(source, where=f"column {name}", expected=expected, got=str(kind))
