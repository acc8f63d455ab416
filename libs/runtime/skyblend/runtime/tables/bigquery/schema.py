"""The schemas of the tables in BigQuery, derived from the columns of the records.

`python -m skyblend.runtime.tables.bigquery forecasts` prints one as JSON, as Terraform and `bq mk`
read it. Every column is nullable: what must be there is checked before a record is
written, and a column may be added at any time.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from skyblend.runtime import names
from skyblend.runtime.tables import TablesError, columns, sql

if TYPE_CHECKING:
    import pyarrow as pa

Field = Mapping[str, Any]  # name, type, mode and, for a record, fields: as BigQuery's API has it
CLUSTERING = ("place_id", "source")


@dataclass(frozen=True, slots=True)
class Kind:
    """One of the two tables: its name, where its record objects lie, its shape and its columns."""

    name: str
    prefix: str
    shape: sql.Shape
    schema: "pa.Schema"


def kinds() -> tuple[Kind, Kind]:
    """Forecasts and observations."""
    return (
        Kind("forecasts", names.FORECASTS, sql.FORECASTS, columns.forecasts()),
        Kind("observations", names.OBSERVATIONS, sql.OBSERVATIONS, columns.observations()),
    )


def fields(schema: "pa.Schema") -> list[Field]:
    """BigQuery's fields for Arrow columns, as its API writes them."""
    return [_field(field.name, field.type) for field in schema]


def text(kind: Kind) -> str:
    """The schema of a table as JSON."""
    return json.dumps(fields(kind.schema), indent=2) + "\n"


def added(table: str, *, stored: Sequence[Field], wanted: Sequence[Field]) -> list[Field]:
    """The fields that the stored table lacks. One that this version does not know is a newer
    version's, and stays empty: loading goes on before that one is deployed, and after it was rolled
    back. Raises TablesError for one that the table has with another type."""
    known = {field["name"]: field for field in wanted}
    for field in stored:
        ours = plain(known.get(field["name"], field))
        if (theirs := plain(field)) != ours:
            raise TablesError(
                f"table {table}, column {field['name']}: expected {ours}, got {theirs}; a column "
                "can only be added, never changed"
            )
    there = {field["name"] for field in stored}
    return [field for field in wanted if field["name"] not in there]


def plain(field: Field) -> str:
    """A field's type on one line, `INTEGER` or `REPEATED RECORD(variable STRING, ...)`, whichever
    of BigQuery's two names it carries."""
    kind = _SYNONYMS.get(field["type"], field["type"])
    parts = [f"{part['name']} {plain(part)}" for part in field.get("fields", ())]
    mode = "REPEATED " if field.get("mode") == "REPEATED" else ""
    return f"{mode}{kind}" + (f"({', '.join(parts)})" if parts else "")


_SYNONYMS = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "STRUCT": "RECORD"}


def _field(name: str, kind: "pa.DataType") -> Field:
    import pyarrow.types as is_  # noqa: PLC0415 - heavy

    if is_.is_list(kind):
        inner = [_field(part.name, part.type) for part in kind.value_type.fields]
        return {"name": name, "type": "RECORD", "mode": "REPEATED", "fields": inner}
    for holds, written in (
        (is_.is_string, "STRING"),
        (is_.is_integer, "INTEGER"),
        (is_.is_floating, "FLOAT"),
        (is_.is_timestamp, "TIMESTAMP"),
    ):
        if holds(kind):
            return {"name": name, "type": written, "mode": "NULLABLE"}
    return {"name": name, "type": str(kind).upper(), "mode": "NULLABLE"}
