"""What a record object holds: whether its columns are those of the table, in which days its rows
lie, and of which raw objects they are."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from skyblend.runtime.storage import Storage
from skyblend.runtime.tables.bigquery.schema import Kind, fields, plain
from skyblend.runtime.tables.bigquery.spans import Span

# Later days have no partition (BigQuery's limit); earlier ones would need too many statements.
DAYS = Span(date(1800, 1, 1), date(2159, 12, 31))


@dataclass(frozen=True, slots=True)
class Contents:
    """The days of a record object's rows, and the raw objects that they are of."""

    span: Span
    raws: frozenset[str]

    def joined(self, other: "Contents | None") -> "Contents":
        if other is None:
            return self
        return Contents(self.span.joined(other.span), self.raws | other.raws)

    def written(self) -> dict[str, Any]:
        first, last = self.span.first.isoformat(), self.span.last.isoformat()
        return {"first": first, "last": last, "raws": sorted(self.raws)}

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Contents":
        days = (date.fromisoformat(given[name]) for name in ("first", "last"))
        return cls(Span(*days), frozenset(given["raws"]))


class Unreadable(Exception):
    """A record object that the table cannot take; the text says why."""


def contents(storage: Storage, record: str, kind: Kind) -> tuple[Contents, int]:
    """What a record object holds, and its size in bytes. Raises Unreadable, and Absent."""
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.parquet as pq  # noqa: PLC0415 - heavy

    with storage.open(record) as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(0)
        try:
            file = pq.ParquetFile(stream)
            _check(record, file.schema_arrow, kind)
            return _contents(record, file, kind), size
        except (OSError, ValueError, ArithmeticError, pa.ArrowException) as error:
            # What Arrow makes of damaged bytes; trouble with the bucket is a StorageError.
            told = " ".join(str(error).split())[:300]
            raise Unreadable(f"{record}: expected a Parquet file, {told}") from None


def _check(record: str, schema: Any, kind: Kind) -> None:
    known = {field["name"]: plain(field) for field in fields(kind.schema)}
    found = {field["name"]: plain(field) for field in fields(_plain_texts(schema))}
    for name, theirs in found.items():
        if name not in known:
            raise Unreadable(
                f"{record}: column {name} is not known to the table {kind.name}: a newer version "
                "of Skyblend wrote it, deploy that one"
            )
        if theirs != known[name]:
            raise Unreadable(f"{record}: column {name}: expected {known[name]}, got {theirs}")
    if missing := {*kind.shape.key, "raw", "known_at", "received_at"} - set(found):
        raise Unreadable(f"{record}: expected the columns {', '.join(sorted(missing))}")


def _plain_texts(schema: Any) -> Any:
    """The schema with texts where a file says that they are stored as dictionaries."""
    import pyarrow as pa  # noqa: PLC0415 - heavy

    stored = (f.type.value_type if pa.types.is_dictionary(f.type) else f.type for f in schema)
    return pa.schema(list(zip(schema.names, stored, strict=True)))


def _contents(record: str, file: Any, kind: Kind) -> Contents:
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    found: Contents | None = None
    for batch in file.iter_batches(columns=[kind.shape.time, "raw"]):
        bounds: Any = pc.min_max(batch.column(kind.shape.time)).as_py()
        if bounds["min"] is None:
            continue
        raws = {str(raw).partition("#")[0] for raw in batch.column("raw").unique().to_pylist()}
        span = Span(bounds["min"].date(), bounds["max"].date())
        found = Contents(span, frozenset(raws)).joined(found)
    if found is None:
        raise Unreadable(f"{record}: expected rows with a {kind.shape.time}, got none")
    if not DAYS.first <= found.span.first <= found.span.last <= DAYS.last:
        raise Unreadable(
            f"{record}: expected a {kind.shape.time} from {DAYS.first} to {DAYS.last}, "
            f"got {found.span.first} to {found.span.last}"
        )
    return found
