"""The statements that put loaded rows in the place of older ones."""

# ruff: noqa: S608 - the statements are put together from our own names; values are parameters

from datetime import UTC, datetime, time, timedelta

from skyblend.runtime.tables.bigquery.manifest import Manifest
from skyblend.runtime.tables.bigquery.schema import Kind
from skyblend.runtime.tables.bigquery.spans import Span, fewest, ranges

Named = dict[str, object]
# Fails in place of a replacement, so that nobody can carry that out any more.
OUTDATED = "SELECT ERROR('record objects were written anew while they were loaded')"


def replacement(kind: Kind, manifest: Manifest, *, table: str, staging: str) -> tuple[str, Named]:
    """The statements, one transaction, and their parameters: delete the rows that the raw objects
    had, in the days in which they had some, and insert those of the staging table. Several
    statements where the days are many. `table` and `staging` are quoted names."""
    parameters: Named = {}
    statements = []
    for span in ranges(one.before.span for one in manifest.replaced if one.before):
        within = _within(kind, span, parameters)
        statements.append(
            f"DELETE FROM {table} WHERE {within} AND REGEXP_EXTRACT(raw, '^[^#]*') IN UNNEST(@raws)"
        )
    if statements:
        parameters["raws"] = _raws(manifest)
    chosen = ", ".join(kind.schema.names)
    # Each insertion reads, and is billed, the whole staging table: it has no partitions.
    for span in fewest(one.now.span for one in manifest.loaded if one.now):
        within = _within(kind, span, parameters)
        statements.append(
            f"INSERT INTO {table} ({chosen}) SELECT {chosen} FROM {staging} WHERE {within}"
        )
    if len(statements) > 1:
        statements = ["BEGIN TRANSACTION", *statements, "COMMIT TRANSACTION"]
    return ";\n".join(statements), parameters


def _within(kind: Kind, span: Span, parameters: Named) -> str:
    number = len(parameters) // 2
    low, high = f"from_{number}", f"to_{number}"
    parameters[low] = datetime.combine(span.first, time(), UTC)
    parameters[high] = datetime.combine(span.last + timedelta(days=1), time(), UTC)
    return f"{kind.shape.time} >= @{low} AND {kind.shape.time} < @{high}"


def _raws(manifest: Manifest) -> tuple[str, ...]:
    held = [c.raws for one in manifest.replaced for c in (one.before, one.now) if c]
    return tuple(sorted(frozenset().union(*held)))
