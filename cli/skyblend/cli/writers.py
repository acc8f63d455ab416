"""Tables as CSV, gzipped CSV or Parquet files, written piece by piece."""

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from skyblend.cli.drafts import draft_of

FORMATS = (".csv", ".csv.gz", ".parquet")
Write = Callable[[pa.Table], None]


@contextmanager
def writer(out: Path) -> Iterator[Write]:
    """What appends tables of the same columns to a draft that replaces `out` at the end."""
    with draft_of(out) as draft, draft.open("wb") as stream:
        yield from _written(out.name, stream)


def _written(name: str, stream: BinaryIO) -> Iterator[Write]:
    if name.endswith(".parquet"):
        yield from _parquet(stream)
    elif name.endswith(".gz"):
        # No name and no time inside: the same records give the same bytes.
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=stream, mtime=0) as packed:
            yield from _csv(cast(BinaryIO, packed))
    else:
        yield from _csv(stream)


def _csv(stream: BinaryIO) -> Iterator[Write]:
    begun = False

    def write(table: pa.Table) -> None:
        nonlocal begun
        options = pyarrow.csv.WriteOptions(include_header=not begun, quoting_style="needed")
        pyarrow.csv.write_csv(_with_text_times(table), stream, options)
        begun = True

    yield write


def _with_text_times(table: pa.Table) -> pa.Table:
    """Times as `2021-01-30T12:50:00Z`, with a fraction of the second only where there is one."""
    for number, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            text = pc.strftime(table[field.name], format="%Y-%m-%dT%H:%M:%SZ")
            short = pc.replace_substring(text, pattern=".000000Z", replacement="Z")
            table = table.set_column(number, field.name, short)
    return table


def _parquet(stream: BinaryIO) -> Iterator[Write]:
    opened: list[pq.ParquetWriter] = []

    def write(table: pa.Table) -> None:
        if not opened:
            opened.append(pq.ParquetWriter(stream, table.schema, compression="zstd"))
        opened[0].write_table(table)

    yield write
    for file in opened:
        file.close()
