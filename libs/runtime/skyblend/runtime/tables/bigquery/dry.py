"""Tables that read nothing, and tell what each query would read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from skyblend.runtime.tables import Loaded, Query

if TYPE_CHECKING:
    import pyarrow as pa
    from skyblend.runtime.tables.bigquery import BigQueryTables


@dataclass(frozen=True, slots=True)
class Asked:
    """A query of a table, and the bytes that it would read."""

    table: str
    query: Query
    bytes: int


class DryRun:
    """Answers every query with no rows; `asked` are the queries with their bytes."""

    def __init__(self, tables: "BigQueryTables") -> None:
        self._tables = tables
        self.asked: list[Asked] = []

    def forecasts(self, query: Query) -> "pa.Table":
        table = self._tables.table_of(query).name
        self.asked.append(Asked(table, query, self._tables.forecasts_bytes(query)))
        return self._tables.no_forecasts(query)

    def observations(self, query: Query) -> "pa.Table":
        self.asked.append(Asked("observations", query, self._tables.observations_bytes(query)))
        return self._tables.no_observations(query)

    def count_forecasts(self, query: Query) -> int:
        return self.forecasts(query).num_rows

    def count_observations(self, query: Query) -> int:
        return self.observations(query).num_rows

    def load(self, object_name: str) -> None:
        """Nothing is loaded."""

    def unload(self, object_name: str) -> None:
        """Nothing is taken out."""

    def load_pending(self) -> Loaded:
        return Loaded()

    @property
    def reads_files(self) -> bool:
        return False
