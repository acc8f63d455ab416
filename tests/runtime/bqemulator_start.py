"""Starts bqemulator 1.4 with two things mended that it forgets: the names of a record's fields
stand in quotes (`check` is a word of DuckDB's), and several statements are given their parameters.

Run by the Python of the emulator's own environment, with the emulator's arguments.
"""

import json
import re
import sys
from typing import Any

from bqemulator.api.routes import tables  # type: ignore[import-not-found]
from bqemulator.cli import main  # type: ignore[import-not-found]
from bqemulator.jobs import executor  # type: ignore[import-not-found]
from bqemulator.storage import type_map  # type: ignore[import-not-found]

columns, run = tables.bq_schema_to_duckdb_columns, executor._run_query_body


def quoted(fields: object) -> list[tuple[str, str]]:
    return [(name, kind.replace(" check ", ' "check" ')) for name, kind in columns(fields)]


async def with_parameters(*, bq_sql: str, query_params: Any, is_scripted: bool, **rest: Any) -> Any:
    if is_scripted and query_params:
        literals = {one["name"]: literal(one) for one in query_params}
        bq_sql = re.sub(r"@(\w+)", lambda found: literals[found[1]], bq_sql)
    return await run(bq_sql=bq_sql, query_params=query_params, is_scripted=is_scripted, **rest)


def literal(parameter: Any) -> str:
    value = parameter["parameterValue"]
    if "arrayValues" in value:
        return f"[{', '.join(json.dumps(one['value']) for one in value['arrayValues'])}]"
    return f"TIMESTAMP {json.dumps(value['value'])}"


tables.bq_schema_to_duckdb_columns = type_map.bq_schema_to_duckdb_columns = quoted
executor._run_query_body = with_parameters
if __name__ == "__main__":
    sys.exit(main())
