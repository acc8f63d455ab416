"""The views of a table as objects of the data set, for people who ask BigQuery themselves.

`forecasts_current` tells the newest values of all keys, `forecasts_as_of(moment, since)` those that
were known at a moment, of valid times from `since` on; likewise for observations. Each reads all
days that it is not kept from: give a bound on the valid (observed) time.
"""

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from skyblend.runtime.tables import Query, columns, sql
from skyblend.runtime.tables.bigquery.connection import Connection
from skyblend.runtime.tables.bigquery.schema import Kind

if TYPE_CHECKING:
    import pyarrow as pa

# A table that requires a bound on its partitions gets one that leaves nothing out.
EARLIEST = datetime(1, 1, 1, tzinfo=UTC)


def definitions(connection: Connection, kind: Kind) -> list[str]:
    """The statements that make the views of a table, or make them anew."""
    current, _ = statement(connection, Query(), kind)
    as_of, _ = statement(connection, Query(as_of=EARLIEST, valid_from=EARLIEST), kind)
    earliest = f"TIMESTAMP '{EARLIEST.isoformat(sep=' ')}'"
    view = connection.quoted(f"{kind.name}_current")
    function = connection.quoted(f"{kind.name}_as_of")
    return [
        f"CREATE OR REPLACE VIEW {view} AS {_filled(current, earliest)}",
        f"CREATE OR REPLACE TABLE FUNCTION {function}(moment TIMESTAMP, since TIMESTAMP) AS"
        f" ({_filled(as_of, 'moment', 'since')})",
    ]


def statement(connection: Connection, query: Query, kind: Kind) -> tuple[str, sql.Parameters]:
    """What BigQuery is sent for a query, and its parameters in order."""
    return sql.view(
        replace(query, valid_from=query.valid_from or EARLIEST),
        relation=f"{connection.quoted(kind.name)} AS stored",
        shape=kind.shape,
        variables=sql.variables(query),
        dialect=sql.BIGQUERY,
    )


def schema(query: Query, kind: Kind) -> "pa.Schema":
    """The columns of the answer."""
    whole = columns.forecasts() if "issued_at" in kind.shape.key else columns.observations()
    return columns.chosen(whole, sql.columns(kind.shape, sql.variables(query)))


def _filled(text: str, *values: str) -> str:
    """The statement with values in place of its parameters."""
    for value in values:
        text = text.replace("?", value, 1)
    return text
