"""The tables by their definition, row by row in plain Python: for tests and trials on any storage.

Slow, and nothing of SQL: what DuckDB and BigQuery answer is held against it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, Any

from skyblend.runtime import names
from skyblend.runtime.storage import Storage
from skyblend.runtime.tables import Loaded, Query, View, columns, sql

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]


class MemoryTables:
    """The tables over the record objects of a storage, which are read anew by every query."""

    reads_files = True

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def forecasts(self, query: Query) -> "pa.Table":
        return self._read(query, names.FORECASTS, sql.FORECASTS, columns.forecasts())

    def observations(self, query: Query) -> "pa.Table":
        return self._read(query, names.OBSERVATIONS, sql.OBSERVATIONS, columns.observations())

    def count_forecasts(self, query: Query) -> int:
        return self.forecasts(query).num_rows

    def count_observations(self, query: Query) -> int:
        return self.observations(query).num_rows

    def load(self, object_name: str) -> None:
        """Nothing is held, so nothing is to be replaced."""

    def unload(self, object_name: str) -> None:
        """Nothing is held, so nothing is to be taken out."""

    def load_pending(self) -> Loaded:
        return Loaded()

    def _read(self, query: Query, prefix: str, shape: sql.Shape, schema: "pa.Schema") -> "pa.Table":
        import pyarrow as pa  # noqa: PLC0415 - heavy

        variables = sql.variables(query)
        chosen = columns.chosen(schema, sql.columns(shape, variables))
        known = [row for row in self._stored(prefix, schema) if _is_asked(row, query, shape)]
        told = [row for row in known if any(row[name] is not None for name in variables)]
        key = itemgetter(*shape.key)
        histories = (list(rows) for _, rows in groupby(sorted(told, key=key), key))
        answer = [row for history in histories for row in _view(history, query, variables)]
        hidden = sql.BARE if query.bare else ()
        rows = [{n: None if n in hidden else row[n] for n in chosen.names} for row in answer]
        return pa.Table.from_pylist(rows, schema=chosen)

    def _stored(self, prefix: str, schema: "pa.Schema") -> Iterator[Row]:
        """All rows of the record objects; a column that an older version lacked is missing."""
        import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

        missing = dict.fromkeys(schema.names)
        for listed in list(self._storage.list(prefix)):
            if listed.name.endswith(".parquet"):
                with self._storage.open(listed.name) as stream:
                    yield from (missing | row for row in pq.read_table(stream).to_pylist())


def _is_asked(row: Row, query: Query, shape: sql.Shape) -> bool:
    """Whether the query may look at a row."""
    valid = row[shape.time]
    return (
        (query.as_of is None or row["known_at"] <= query.as_of)
        and (query.valid_from is None or valid >= query.valid_from)
        and (query.valid_to is None or valid < query.valid_to)
        and (not query.bare or not row.get("member"))
        and _is_of_hours(row, query.issue_hours)
        and all(
            not allowed or row[name] in allowed
            for name, allowed in (
                ("source", query.sources),
                ("place_id", query.places),
                ("period", query.periods),
            )
        )
    )


def _is_of_hours(row: Row, hours: Sequence[int]) -> bool:
    """Whether a run was issued in one of the hours; nobody issues an observation."""
    return not hours or "issued_at" not in row or row["issued_at"].hour in hours


def _view(history: Sequence[Row], query: Query, variables: Sequence[str]) -> Iterable[Row]:
    """What the view shows of the rows of one key."""
    versions = list(_versions(history, variables))
    shown = versions if query.view is View.VERSIONS else versions[-1:]
    for row, before in shown:
        if not query.raw or row["raw"] == query.raw or row["raw"].startswith(f"{query.raw}#"):
            yield row if query.view is View.VERSIONS else _completed(row, before, variables)


def _versions(
    history: Sequence[Row], variables: Sequence[str]
) -> Iterator[tuple[Row, Mapping[str, Row]]]:
    """Each version in order, with the row that told each variable last before it."""
    last: dict[str, Row] = {}
    for row in sorted(history, key=lambda row: _order(row, variables)):
        told = [name for name in variables if row[name] is not None]
        if any(name not in last or last[name][name] != row[name] for name in told):
            yield row, dict(last)
        last |= dict.fromkeys(told, row)


def _order(row: Row, variables: Sequence[str]) -> tuple[object, ...]:
    """A missing value comes first, as in BigQuery."""
    values = ((row[name] is not None, row[name] or 0.0) for name in variables)
    return (*(row[name] for name in sql.ORDER), *values)


def _completed(row: Row, before: Mapping[str, Row], variables: Sequence[str]) -> Row:
    """A version with the values that it does not tell, and their flags."""
    whole = {**row, "flags": list(row["flags"] or ())}
    for name in variables:
        if row[name] is None and name in before:
            older = before[name]
            whole[name] = older[name]
            whole["flags"] += [flag for flag in older["flags"] or () if flag["variable"] == name]
    return whole
