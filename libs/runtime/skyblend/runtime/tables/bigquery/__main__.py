"""`python -m skyblend.runtime.tables.bigquery TABLE` prints the schema of a table as JSON."""

import sys

from skyblend.runtime.tables.bigquery import schema

chosen = {kind.name: kind for kind in schema.kinds()}
if len(sys.argv) != 2 or sys.argv[1] not in chosen:
    sys.exit(f"expected one of {', '.join(chosen)}, got {sys.argv[1:]}")
sys.stdout.write(schema.text(chosen[sys.argv[1]]))
