"""The forecasts that a training reads, once more in a table of their own: few runs a day, and of a
row no more than is learnt from. A training reads whole columns of all its days, each day anew, so
this table is what it costs.

It takes in the same transactions as `forecasts`, from the same staging tables. What is null costs
nothing to read, so what follows from another column, or is the same in nearly every row, is null:
a time of receipt that is known_at, a period of an instant, and the raw object in the order of
versions, `turn`, where no two rows of a key can be received at one moment. Only those of one upload
can, whose members share its time.
"""

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from skyblend.runtime import names
from skyblend.runtime.tables import Query, columns, sql
from skyblend.runtime.tables.bigquery.schema import Kind

if TYPE_CHECKING:
    import pyarrow as pa

NAME = "training_forecasts"
HOURS = (0, 6, 12, 18)
# The variables that are blended, and so learnt from (a test compares).
VARIABLES = ("temperature_2m", "temperature_2m_max", "temperature_2m_min")
TURN = "turn"
_KEPT = (*(one for one in columns.FORECAST_KEY if one != "member"), *sql.ORDER, "flags", *VARIABLES)


@dataclass(frozen=True, slots=True)
class Copy:
    """A table that takes rows from a staging table: what of them each of its columns gets, where it
    is not the column of the same name, and which rows, all where nothing is said."""

    kind: Kind
    taken: dict[str, str] = field(default_factory=dict)
    only: str = ""


def kind() -> Kind:
    """The table, and how its columns are read as those of forecasts."""
    stored = {
        "member": "''",
        "period": "COALESCE(period, 0)",
        "received_at": "COALESCE(received_at, known_at)",
        "raw": TURN,
    }
    return Kind(NAME, names.FORECASTS, replace(sql.FORECASTS, stored=stored), _schema())


def answers(query: Query) -> bool:
    """Whether the table holds all that a query asks of forecasts."""
    return (
        query.bare
        and not query.raw
        and len(query.issue_hours) > 0
        and set(query.issue_hours) <= set(HOURS)
        and set(VARIABLES) >= set(query.variables) != set()
    )


def copies(kind: Kind) -> tuple[Copy, ...]:
    """The tables that a load of this kind fills, itself first."""
    return (Copy(kind), _copy()) if kind.prefix == names.FORECASTS else (Copy(kind),)


def _copy() -> Copy:
    told = " OR ".join(f"{one} IS NOT NULL" for one in VARIABLES)
    hours = ", ".join(map(str, HOURS))
    taken = {
        "period": "NULLIF(period, 0)",
        "received_at": "NULLIF(received_at, known_at)",
        TURN: f"CASE WHEN STARTS_WITH(raw, '{names.UPLOADS}') THEN raw END",
    }
    only = f"member = '' AND EXTRACT(HOUR FROM issued_at) IN ({hours}) AND ({told})"
    return Copy(kind(), taken, only)


def _schema() -> "pa.Schema":
    import pyarrow as pa  # noqa: PLC0415 - heavy

    return columns.chosen(columns.forecasts(), _KEPT).append(pa.field(TURN, pa.string()))
