"""`skyblend export`: forecasts or observations as tidy files, which `upload` reads."""

from pathlib import Path

import click
from skyblend.cli.session import Session, pass_session


@click.command()
@click.argument("kind", type=click.Choice(["forecasts", "observations"]))
@click.option("--current", is_flag=True, help="Only the latest of each key; default: all versions.")
@click.option("--source", "sources", multiple=True, help="Only these sources; may be repeated.")
@click.option("--place", "places", multiple=True, help="Only these places; may be repeated.")
@click.option(
    "--out",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that ends in .csv, .csv.gz or .parquet.",
)
@pass_session
def export(
    session: Session,
    kind: str,
    *,
    current: bool,
    sources: tuple[str, ...],
    places: tuple[str, ...],
    out: Path,
) -> None:
    """Write forecasts or observations as a tidy file: one row for each version of each key.

    Times are ISO 8601 in UTC, units canonical, a missing value is an empty field. The column
    `flags` tells which values failed a check and why; `upload` ignores it. A number reads back as
    the same number.

    \b
      skyblend export observations --current --source nws_scs --out observations.csv.gz
    """
    from skyblend.cli.tidy import rows
    from skyblend.cli.writers import FORMATS, writer

    if not out.name.endswith(FORMATS):
        raise click.UsageError(
            f"--out: expected a name that ends in {', '.join(FORMATS)}, got {out}"
        )
    count = 0
    with writer(out) as write:
        tables = rows(session.reading(), kind, current=current, sources=sources, places=places)
        for table in tables:
            write(table)
            count += table.num_rows
    click.echo(f"{count} rows in {out}")
