"""The tables of one machine: an in-memory DuckDB over the record files, which are read anew by
every query."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import duckdb
from skyblend.runtime import names
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.tables import Query, columns, sql

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
_POSITION = ("latitude", "longitude", "elevation")


class DuckTables:
    """The tables over a folder's record files; needs no network and keeps no state of its own."""

    def __init__(self, storage: FolderStorage, *, memory: str = "512MB", threads: int = 2) -> None:
        self._storage = storage
        self._database = _connect(storage, memory, threads)
        self._forecasts = _kind(
            self._database,
            names.FORECASTS,
            sql.Shape(columns.FORECAST_KEY, "valid_at", _POSITION),
            columns.forecasts(),
        )
        self._observations = _kind(
            self._database,
            names.OBSERVATIONS,
            sql.Shape(columns.OBSERVATION_KEY, "observed_at", ("kind", *_POSITION)),
            columns.observations(),
        )

    def forecasts(self, query: Query) -> "pa.Table":
        return self._read(query, self._forecasts)

    def observations(self, query: Query) -> "pa.Table":
        return self._read(query, self._observations)

    def load(self, object_name: str) -> None:
        """Nothing: a record file is read where it lies as soon as it is written."""

    def unload(self, object_name: str) -> None:
        """Nothing: a record file that is gone is read no more."""

    def _read(self, query: Query, kind: _Kind) -> "pa.Table":
        """The answer, in no particular order of rows; raises ValueError for an unknown variable."""
        variables = query.variables or columns.VARIABLES
        if unknown := sorted(set(variables) - set(columns.VARIABLES)):
            raise ValueError(
                f"expected variables among {', '.join(columns.VARIABLES)}, got {unknown}"
            )
        for _ in range(_ATTEMPTS - 1):
            try:
                return self._answer(query, kind, variables)
            except (
                duckdb.IOException
            ):  # a file went away since it was listed: replaced or compacted
                continue
        return self._answer(query, kind, variables)

    def _answer(self, query: Query, kind: _Kind, variables: Sequence[str]) -> "pa.Table":
        schema = _chosen(kind.schema, sql.columns(kind.shape, variables))
        if not (files := self._files(kind.prefix)):
            return schema.empty_table()
        statement, parameters = sql.view(
            query, relation=_relation(files, kind.empty), shape=kind.shape, variables=variables
        )
        with self._database.cursor() as cursor:
            rows: pa.Table = cursor.sql(statement, params=parameters).to_arrow_table()
            return rows.cast(schema)

    def _files(self, prefix: str) -> list[str]:
        """The record files. Compaction adds one and then removes others, so a listing that ran
        meanwhile may have seen neither: the listing is repeated until it is the same twice."""
        before: list[str] | None = None
        while (now := [listed.name for listed in self._storage.list(prefix)]) != before:
            before = now
        return [str(self._storage.path(name)) for name in now if name.endswith(".parquet")]


def _connect(storage: FolderStorage, memory: str, threads: int) -> duckdb.DuckDBPyConnection:
    """A database in memory that loads nothing from the network; what does not fit is spilled beside
    the objects."""
    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": memory,
        "threads": threads,
        "temp_directory": str(storage.root / ".spill"),
        "preserve_insertion_order": False,
        "autoinstall_known_extensions": False,
        "autoload_known_extensions": False,
    }
    database = duckdb.connect(":memory:", config=config)
    database.execute("SET parquet_metadata_cache = true")
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


def _chosen(schema: "pa.Schema", chosen: Sequence[str]) -> "pa.Schema":
    import pyarrow as pa  # noqa: PLC0415 - heavy

    return pa.schema([schema.field(name) for name in chosen])
