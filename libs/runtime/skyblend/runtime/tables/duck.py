"""The tables of one machine: an in-memory DuckDB over the record files, which are read anew by
every query."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
from skyblend.runtime import names
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.tables import Loaded, Query, columns, sql
from skyblend.runtime.tables.compact import supersede_file

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class _Kind:
    """One of the two tables: where its files lie, its shape, and an empty table of DuckDB with all
    its columns."""

    prefix: str
    shape: sql.Shape
    schema: "pa.Schema"
    empty: str


_ATTEMPTS = 5


class DuckTables:
    """The tables over a folder's record files; needs no network and keeps no state of its own."""

    def __init__(self, storage: FolderStorage, *, memory: str = "256MB", threads: int = 2) -> None:
        self._storage = storage
        self._database = _connect(memory, threads)
        self._forecasts = _kind(
            self._database,
            names.FORECASTS,
            sql.FORECASTS,
            columns.forecasts(),
        )
        self._observations = _kind(
            self._database,
            names.OBSERVATIONS,
            sql.OBSERVATIONS,
            columns.observations(),
        )

    def forecasts(self, query: Query) -> "pa.Table":
        return self._read(query, self._forecasts)

    def observations(self, query: Query) -> "pa.Table":
        return self._read(query, self._observations)

    def count_forecasts(self, query: Query) -> int:
        return self._count(query, self._forecasts)

    def count_observations(self, query: Query) -> int:
        return self._count(query, self._observations)

    def load(self, object_name: str) -> None:
        """The file is read where it lies; only older rows in a merged file must go."""
        supersede_file(self._storage, object_name)

    def unload(self, object_name: str) -> None:
        """The same: the file itself is read no more as soon as it is deleted."""
        supersede_file(self._storage, object_name)

    def load_pending(self) -> Loaded:
        return Loaded()

    @property
    def reads_files(self) -> bool:
        return True

    def _read(self, query: Query, kind: _Kind) -> "pa.Table":
        """The answer, in no particular order of rows; raises ValueError for an unknown variable."""
        schema = columns.chosen(kind.schema, sql.columns(kind.shape, sql.variables(query)))
        rows = self._answer(query, kind, "SELECT *")
        return schema.empty_table() if rows is None else rows.cast(schema)

    def _count(self, query: Query, kind: _Kind) -> int:
        rows = self._answer(query, kind, "SELECT COUNT(*) AS rows")
        return 0 if rows is None else int(rows.column("rows")[0].as_py())

    def _answer(self, query: Query, kind: _Kind, select: str) -> "pa.Table | None":
        """What `select` chooses from the view that is asked for; None where no record file is."""
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._run(query, kind, select)
            except duckdb.IOException:  # a file went away since it was listed: merged or deleted
                continue
        return self._run(query, kind, select)

    def _run(self, query: Query, kind: _Kind, select: str) -> "pa.Table | None":
        variables = sql.variables(query)
        if not (files := self._files(kind.prefix)):
            return None
        statement, parameters = sql.view(
            query,
            relation=_relation(files, kind.empty),
            shape=kind.shape,
            variables=variables,
            dialect=sql.DUCKDB,
        )
        with self._database.cursor() as cursor:
            answer = cursor.sql(f"{select} FROM ({statement}) AS answer", params=parameters)
            rows: pa.Table = answer.to_arrow_table()
            return rows

    def _files(self, prefix: str) -> list[str]:
        """The record files. Compaction adds one and then removes others, so a listing that ran
        meanwhile may have seen neither: the listing is repeated until it is the same twice."""
        before: list[str] | None = None
        while (now := [listed.name for listed in self._storage.list(prefix)]) != before:
            before = now
        return [str(self._storage.path(name)) for name in now if name.endswith(".parquet")]


def _connect(memory: str, threads: int) -> duckdb.DuckDBPyConnection:
    """A database in memory that loads nothing from the network; what does not fit is spilled to the
    system's folder for temporary files, which cleans up behind a killed process."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": threads,
        "temp_directory": str(Path(tempfile.gettempdir(), f"skyblend-tables-{os.getpid()}")),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    database = duckdb.connect(":memory:", config=config)
    database.execute("SET parquet_metadata_cache = true")
    # BigQuery's order, and the same both ways: descending is the reverse of ascending.
    database.execute("SET default_null_order = 'nulls_first_on_asc_last_on_desc'")
    database.execute("SET TimeZone = 'UTC'")  # as a statement: in `config` it asks for a download
    return database


def _kind(
    database: duckdb.DuckDBPyConnection, prefix: str, shape: sql.Shape, schema: "pa.Schema"
) -> _Kind:
    empty = f"no_{shape.time}"
    database.register("arrow_empty", schema.empty_table())
    database.execute(f"CREATE TABLE {empty} AS SELECT * FROM arrow_empty")  # noqa: S608 - our own names
    database.unregister("arrow_empty")
    return _Kind(prefix, shape, schema, empty)


def _relation(files: list[str], empty: str) -> str:
    """All rows of the files; the empty table adds the columns that none of them has."""
    quoted = ", ".join("'" + path.replace("'", "''") + "'" for path in files)
    stored = f"SELECT * FROM read_parquet([{quoted}], union_by_name = true)"  # noqa: S608
    return f"({stored} UNION ALL BY NAME SELECT * FROM {empty}) AS stored"  # noqa: S608
