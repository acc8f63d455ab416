"""The statements that put loaded rows in the place of older ones."""

# ruff: noqa: S608 - the statements are put together from our own names; values are parameters

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta

from skyblend.runtime.tables.bigquery.manifest import Manifest
from skyblend.runtime.tables.bigquery.schema import Kind
from skyblend.runtime.tables.bigquery.spans import Span, fewest, ranges
from skyblend.runtime.tables.bigquery.training import Copy

Named = dict[str, object]
# Fails in place of a replacement, so that nobody can carry that out any more.
OUTDATED = "SELECT ERROR('record objects were written anew while they were loaded')"


def replacement(
    manifest: Manifest, copies: Sequence[Copy], *, quoted: Callable[[str], str], staging: str
) -> tuple[str, Named]:
    """The statements, one transaction, and their parameters: delete the rows that the raw objects
    had, in the days in which they had some, and insert those of the staging table, in each table
    that takes them. Several statements where the days are many. `quoted` is how a statement names a
    table."""
    parameters: Named = {}
    statements = []
    for span in ranges(one.before.span for one in manifest.replaced if one.before):
        within = _within(copies[0].kind, span, parameters)
        statements += [
            f"DELETE FROM {quoted(copy.kind.name)} WHERE {within}"
            " AND REGEXP_EXTRACT(raw, '^[^#]*') IN UNNEST(@raws)"
            for copy in copies
        ]
    if statements:
        parameters["raws"] = _raws(manifest)
    # Each insertion reads, and is billed, the whole staging table: it has no partitions.
    for span in fewest(one.now.span for one in manifest.loaded if one.now):
        within = _within(copies[0].kind, span, parameters)
        statements += [
            filling(copy, table=quoted(copy.kind.name), rows=quoted(staging), where=within)
            for copy in copies
        ]
    if len(statements) > 1:
        statements = ["BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"]
    return ";\n".join(statements), parameters


def filling(copy: Copy, *, table: str, rows: str, where: str) -> str:
    """The statement that puts those of `rows` into a table that it takes; names are quoted."""
    into = ", ".join(copy.kind.schema.names)
    taken = ", ".join(copy.taken.get(name, name) for name in copy.kind.schema.names)
    only = f" AND {copy.only}" if copy.only else ""
    return f"INSERT INTO {table} ({into}) SELECT {taken} FROM {rows} WHERE {where}{only}"


def refilling(copy: Copy, rows: Kind, *, quoted: Callable[[str], str], first: date) -> str:
    """The statements, one transaction, that give a table anew what it takes of all the rows of
    another, of valid times from a day on: for a data set that is older than the table."""
    table, where = quoted(copy.kind.name), f"{rows.shape.time} >= TIMESTAMP '{first} 00:00:00+00'"
    return ";\n".join(
        (
            "BEGIN TRANSACTION",
            f"DELETE FROM {table} WHERE {where}",
            filling(copy, table=table, rows=quoted(rows.name), where=where),
            "COMMIT TRANSACTION",
        )
    )


def _within(kind: Kind, span: Span, parameters: Named) -> str:
    number = len(parameters) // 2
    low, high = f"from_{number}", f"to_{number}"
    parameters[low] = datetime.combine(span.first, time(), UTC)
    parameters[high] = datetime.combine(span.last + timedelta(days=1), time(), UTC)
    return f"{kind.shape.time} >= @{low} AND {kind.shape.time} < @{high}"


def _raws(manifest: Manifest) -> tuple[str, ...]:
    held = [c.raws for one in manifest.replaced for c in (one.before, one.now) if c]
    return tuple(sorted(frozenset().union(*held)))
