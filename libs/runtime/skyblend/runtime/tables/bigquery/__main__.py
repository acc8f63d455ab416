"""`python -m skyblend.runtime.tables.bigquery TABLE` prints the schema of a table as JSON;
`... refill DATASET SINCE` prints the statements that fill the table of training from `forecasts`,
from the day SINCE on."""

import sys
from datetime import date

from skyblend.runtime.tables.bigquery import schema, statements, training

forecasts, observations = schema.kinds()
copy = training.copies(forecasts)[-1]
chosen = {kind.name: kind for kind in (forecasts, observations, copy.kind)}
match sys.argv[1:]:
    case [name] if name in chosen:
        sys.stdout.write(schema.text(chosen[name]))
    case ["refill", dataset, since]:
        said = statements.refilling(
            copy, forecasts, quoted=f"`{dataset}.{{}}`".format, first=date.fromisoformat(since)
        )
        sys.stdout.write(f"{said};\n")
    case other:
        sys.exit(f"expected one of {', '.join(chosen)}, or refill DATASET SINCE, got {other}")
