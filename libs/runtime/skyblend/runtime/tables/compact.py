"""Compaction: the many record files of a day that is over become one, with the same rows.

The merged file is written first and the others are deleted after it, so a crash in between
leaves rows twice, which the views count once. A raw object that is processed again writes a file
of its own again; `supersede` then takes its older rows out of the merged one.
"""

import hashlib
import tempfile
from collections.abc import Iterable, Iterator
from datetime import date
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Changed, Listed, Storage
from skyblend.runtime.tables import columns

if TYPE_CHECKING:
    import pyarrow as pa

MERGED = "compacted-"
ROWS = 131_072  # of one row group
_SPOOLED = 32 << 20  # bytes kept in memory before a temporary file is used


def compact(storage: Storage, day: date, *, fewest: int = 2) -> int:
    """Merge the record files of a received day where there are `fewest` or more of one table; gives
    how many files went into others. Repeating it changes nothing."""
    return sum(
        _compact(storage, f"{prefix}{day.isoformat()}/", schema, fewest)
        for prefix, schema in _tables()
    )


def supersede(storage: Storage, raw: str, day: date) -> None:
    """Take the rows of a raw object and its members out of the day's merged files. To be called
    after the object's own record files were written anew, or when it has no records any more."""
    for prefix, schema in _tables():
        for listed in list(storage.list(f"{prefix}{day.isoformat()}/{MERGED}")):
            _take_out(storage, listed.name, raw, schema)


def supersede_file(storage: Storage, name: str) -> None:
    """The same for all raw objects that the record file `name` has rows of."""
    folder, _, file = name.rpartition("/")
    merged = [] if file.startswith(MERGED) else list(storage.list(f"{folder}/{MERGED}"))
    schema = columns.forecasts() if name.startswith(names.FORECASTS) else columns.observations()
    for raw in _raws(storage, name, schema) if merged else ():
        for listed in merged:
            _take_out(storage, listed.name, raw, schema)


def _tables() -> tuple[tuple[str, "pa.Schema"], ...]:
    return (names.FORECASTS, columns.forecasts()), (names.OBSERVATIONS, columns.observations())


def _compact(storage: Storage, folder: str, schema: "pa.Schema", fewest: int) -> int:
    inputs = [file for file in storage.list(folder) if _is_known(storage, file.name, schema)]
    if len(inputs) < fewest:
        return 0
    target = f"{folder}{MERGED}{_digest(inputs)}.parquet"
    with _spool() as spool:
        _write(spool, (table for file in inputs for table in _read(storage, file.name, schema)))
        storage.write(target, spool)
    for file in inputs:
        _remove(storage, file, target, schema)
    return len(inputs)


def _remove(storage: Storage, file: Listed, target: str, schema: "pa.Schema") -> None:
    """Delete a merged input; one that was written anew meanwhile stays, and its older rows go."""
    try:
        storage.delete(file.name, if_generation=file.generation)
    except Changed:
        for raw in _raws(storage, file.name, schema):
            _take_out(storage, target, raw, schema)


def _take_out(storage: Storage, name: str, raw: str, schema: "pa.Schema") -> None:
    if raw not in _raws(storage, name, schema):
        return
    generation = storage.generation(name)
    with _spool() as spool:
        left = _write(spool, (_others(t, raw) for t in _read(storage, name, schema)))
        if left:
            storage.write(name, spool, if_generation=generation)
        else:
            storage.delete(name, if_generation=generation)


def _others(table: "pa.Table", raw: str) -> "pa.Table":
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    column = table.column("raw")
    of_raw = pc.or_(pc.equal(column, pa.scalar(raw)), pc.starts_with(column, f"{raw}#"))
    return table.filter(pc.invert(of_raw))


def _raws(storage: Storage, name: str, schema: "pa.Schema") -> set[str]:
    """The raw objects whose rows a file holds."""
    try:
        found = [t.column("raw").unique() for t in _read(storage, name, schema, ["raw"])]
    except Absent:
        return set()
    return {str(raw).partition("#")[0] for column in found for raw in column.to_pylist()}


def _is_known(storage: Storage, name: str, schema: "pa.Schema") -> bool:
    """Whether it is a record file without columns of a newer version, which merging would lose."""
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    if not name.endswith(".parquet"):
        return False
    with storage.open(name) as stream:
        return set(pq.read_schema(stream).names) <= set(schema.names)


def _read(
    storage: Storage, name: str, schema: "pa.Schema", chosen: list[str] | None = None
) -> Iterator["pa.Table"]:
    """The rows of a file in tables of up to ROWS; columns that an older version lacked are null."""
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    fields = [schema.field(column) for column in chosen or schema.names]
    with storage.open(name) as stream:
        for batch in pq.ParquetFile(stream).iter_batches(ROWS, columns=chosen):
            known = set(batch.schema.names)
            arrays = [
                batch.column(f.name).cast(f.type)
                if f.name in known
                else pa.nulls(len(batch), f.type)
                for f in fields
            ]
            yield pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _write(stream: IO[bytes], tables: Iterable["pa.Table"]) -> int:
    """Write the tables as Parquet in row groups of about ROWS and rewind; gives the rows
    written."""
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    writer: pq.ParquetWriter | None = None
    written = 0
    for group in _groups(tables):
        whole = pa.concat_tables(group)
        writer = writer or pq.ParquetWriter(stream, whole.schema, compression="zstd")
        writer.write_table(whole)
        written += whole.num_rows
    if writer is not None:
        writer.close()
    stream.seek(0)
    return written


def _groups(tables: Iterable["pa.Table"]) -> Iterator[list["pa.Table"]]:
    group: list[pa.Table] = []
    for table in tables:
        if table.num_rows:
            group.append(table)
        if sum(one.num_rows for one in group) >= ROWS:
            yield group
            group = []
    if group:
        yield group


def _spool() -> BinaryIO:
    return cast("BinaryIO", tempfile.SpooledTemporaryFile(_SPOOLED))


def _digest(files: list[Listed]) -> str:
    named = "\n".join(f"{file.name} {file.generation}" for file in files)
    return hashlib.sha256(named.encode()).hexdigest()[:12]
