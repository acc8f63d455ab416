"""`skyblend load`: what waits for BigQuery, now rather than at the next tick."""

import click
from skyblend.cli.session import Session, pass_session


@click.command()
@pass_session
def load(session: Session) -> None:
    """Load into BigQuery what waits there, until nothing does.

    In the cloud `POST /v1/load` of preprocess does the same every 15 minutes. Both may run at once
    and be broken off: a record object is loaded once. One that cannot be loaded is told, and stays
    for a later run.
    """
    from skyblend.runtime.tables import Loaded

    tables = session.reading().tables
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
    if told.refused:
        raise click.ClickException("not loaded: " + "; ".join(told.refused))
