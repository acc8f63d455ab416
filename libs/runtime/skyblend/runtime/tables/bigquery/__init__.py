"""The tables in BigQuery, which are filled by load jobs every few minutes.

What `load` and `unload` are told is a note in the bucket; `load_pending` does what the notes say.
So a row is read some minutes after its file was written, and the views are the same statements
that DuckDB answers on one machine.
"""

from typing import TYPE_CHECKING

from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import Storage
from skyblend.runtime.tables import Loaded, Query, TablesError
from skyblend.runtime.tables.bigquery import tables, training, views
from skyblend.runtime.tables.bigquery.connection import Connection
from skyblend.runtime.tables.bigquery.loading import Loading
from skyblend.runtime.tables.bigquery.notes import note
from skyblend.runtime.tables.bigquery.schema import Kind, kinds

if TYPE_CHECKING:
    import pyarrow as pa


class BigQueryTables:
    """The tables of a data set; `storage` is the bucket that the record objects lie in."""

    def __init__(self, settings: Settings, storage: Storage) -> None:
        self.connection = Connection(settings)
        self._storage = storage
        self._forecasts, self._observations = kinds()
        self._training = training.kind()

    def forecasts(self, query: Query) -> "pa.Table":
        return self._read(query, self.table_of(query))

    def observations(self, query: Query) -> "pa.Table":
        return self._read(query, self._observations)

    def count_forecasts(self, query: Query) -> int:
        return self._count(query, self.table_of(query))

    def count_observations(self, query: Query) -> int:
        return self._count(query, self._observations)

    def forecasts_bytes(self, query: Query) -> int:
        """How many bytes `forecasts` would read, by a dry run."""
        return self._bytes(query, self.table_of(query))

    def observations_bytes(self, query: Query) -> int:
        """How many bytes `observations` would read, by a dry run."""
        return self._bytes(query, self._observations)

    def no_forecasts(self, query: Query) -> "pa.Table":
        """What `forecasts` would give, without rows."""
        return views.schema(query, self._forecasts).empty_table()

    def no_observations(self, query: Query) -> "pa.Table":
        """What `observations` would give, without rows."""
        return views.schema(query, self._observations).empty_table()

    def load(self, object_name: str) -> None:
        """Note the object; `load_pending` loads it."""
        note(self._storage, object_name, removed=False)

    def unload(self, object_name: str) -> None:
        """Note that the object goes; `load_pending` takes its rows out."""
        note(self._storage, object_name, removed=True)

    def load_pending(self) -> Loaded:
        """One table's trouble is raised when the other one is loaded."""
        found, troubles = Loaded(), list[str]()
        for kind in (self._forecasts, self._observations):
            try:
                found += Loading(self.connection, self._storage, kind).run()
            except TablesError as error:
                troubles.append(str(error))
        if troubles:
            raise TablesError("; ".join(troubles))
        return found

    def make_views(self) -> None:
        """Make the views of both tables in the data set, for people who ask BigQuery themselves."""
        for kind in (self._forecasts, self._observations):
            tables.prepare(self.connection, kind)
            for definition in views.definitions(self.connection, kind):
                self.connection.carry_out(definition)

    @property
    def reads_files(self) -> bool:
        return False

    def table_of(self, query: Query) -> Kind:
        """The table that answers a query of forecasts with the fewest bytes."""
        few = training.answers(query) and self.connection.has(self._training.name)
        return self._training if few else self._forecasts

    def _read(self, query: Query, kind: Kind) -> "pa.Table":
        schema = views.schema(query, kind)
        if not self.connection.has(kind.name):
            return schema.empty_table()
        rows = self.connection.rows(*views.statement(self.connection, query, kind))
        return rows.select(schema.names).cast(schema)

    def _count(self, query: Query, kind: Kind) -> int:
        statement, parameters = views.statement(self.connection, query, kind)
        counted = f"SELECT COUNT(*) AS counted FROM ({statement}) AS answer"  # noqa: S608
        if not self.connection.has(kind.name):
            return 0
        return int(self.connection.rows(counted, parameters).column("counted")[0].as_py())

    def _bytes(self, query: Query, kind: Kind) -> int:
        if not self.connection.has(kind.name):
            return 0
        return self.connection.bytes_of(*views.statement(self.connection, query, kind))
