"""`skyblend load`: what waits for BigQuery, now rather than at the next tick."""

import click
from skyblend.cli.session import Session, pass_session


@click.command()
@click.option(
    "--views", is_flag=True, help="Also make the views of the tables, for people who ask BigQuery."
)
@pass_session
def load(session: Session, *, views: bool) -> None:
    """Load into BigQuery what waits there, until nothing does.

    In the cloud `POST /v1/load` of preprocess does the same every 15 minutes. Both may run at once
    and be broken off: a record object is loaded once. One that cannot be loaded is told, and stays
    for a later run.

    The views are forecasts_current and forecasts_as_of(moment, since), likewise of observations.
    """
    from skyblend.runtime.tables import Loaded
    from skyblend.runtime.tables.bigquery import BigQueryTables

    tables = session.reading().tables
    if views and not isinstance(tables, BigQueryTables):
        raise click.UsageError("--views: expected SKYBLEND_TABLES=bigquery, which keeps them")
    total = Loaded()
    while True:
        told = tables.load_pending()
        total += told
        if not (told.objects or told.removed):
            break
    click.echo(
        f"{total.rows} rows of {total.objects} record objects loaded, those of {total.removed} "
        f"taken out, {told.left} objects left"
    )
    if isinstance(tables, BigQueryTables) and views:
        tables.make_views()
    if told.refused:
        raise click.ClickException("not loaded: " + "; ".join(told.refused))
