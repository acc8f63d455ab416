"""The tables themselves in BigQuery: made where absent, given the columns that they lack, and the
staging tables of loads."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from skyblend.runtime.tables.bigquery import schema
from skyblend.runtime.tables.bigquery.connection import CALL, Connection, trouble
from skyblend.runtime.tables.bigquery.schema import Kind

if TYPE_CHECKING:
    from google.cloud import bigquery

# ruff: noqa: PLC0415 - Google's clients are imported where they are used

_STAGED = timedelta(days=3)  # after which a staging table that was left goes by itself


def prepare(connection: Connection, kind: Kind) -> None:
    """Create the table where it is absent, and add the columns that it lacks; raises TablesError
    for a column that is another."""
    from google.api_core.exceptions import NotFound

    with trouble(f"preparing the table {kind.name}"):
        try:
            table = connection.client.get_table(
                connection.table(kind.name), retry=connection.retry, timeout=CALL
            )
        except NotFound:
            connection.client.create_table(
                _table(connection, kind), exists_ok=True, retry=connection.retry, timeout=CALL
            )
            return
        _add_columns(connection, kind, table)


def let_expire(connection: Connection, name: str) -> None:
    """See to it that a staging table goes by itself after some days, if it is there."""
    from google.api_core.exceptions import NotFound
    from google.cloud.bigquery import Table

    table = Table(connection.table(name))
    table.expires = datetime.now(UTC) + _STAGED
    try:
        connection.client.update_table(table, ["expires"], retry=connection.retry, timeout=CALL)
    except NotFound:
        return


def drop(connection: Connection, name: str) -> None:
    """Remove a staging table, if it is there."""
    connection.client.delete_table(
        connection.table(name), not_found_ok=True, retry=connection.retry, timeout=CALL
    )


def schema_fields(kind: Kind) -> "list[bigquery.SchemaField]":
    """The columns as the client has them."""
    return _fields(schema.fields(kind.schema))


def _add_columns(connection: Connection, kind: Kind, table: "bigquery.Table") -> None:
    new = schema.added(
        kind.name,
        stored=[field.to_api_repr() for field in table.schema],
        wanted=schema.fields(kind.schema),
    )
    if new:
        table.schema = [*table.schema, *_fields(new)]
        connection.client.update_table(table, ["schema"], retry=connection.retry, timeout=CALL)


def _table(connection: Connection, kind: Kind) -> "bigquery.Table":
    from google.cloud.bigquery import Table, TimePartitioning

    table = Table(connection.table(kind.name), schema=schema_fields(kind))
    table.time_partitioning = TimePartitioning(field=kind.shape.time)
    table.require_partition_filter = True
    table.clustering_fields = list(schema.CLUSTERING)
    return table


def _fields(given: Sequence[schema.Field]) -> "list[bigquery.SchemaField]":
    from google.cloud.bigquery import SchemaField

    return [SchemaField.from_api_repr(dict(field)) for field in given]
