"""Starts bqemulator with the names of a record's fields in quotes, which it forgets: `check` is a
word of DuckDB's. Run by the Python of the emulator's own environment, with its arguments."""

import sys

from bqemulator.api.routes import tables  # type: ignore[import-not-found]
from bqemulator.cli import main  # type: ignore[import-not-found]

columns = tables.bq_schema_to_duckdb_columns


def quoted(fields: object) -> list[tuple[str, str]]:
    return [(name, kind.replace(" check ", ' "check" ')) for name, kind in columns(fields)]


tables.bq_schema_to_duckdb_columns = quoted
if __name__ == "__main__":
    sys.exit(main())
