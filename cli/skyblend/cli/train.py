"""`skyblend train`: fit on what is known, and promote what is better."""

from datetime import datetime
from typing import TYPE_CHECKING

import click
from skyblend.cli import times
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.predict.train.job import SeriesReport
    from skyblend.runtime.place import Runtime


@click.command()
@click.option("--at", type=times.Instant(), help="As if it were this time; default: now.")
@click.option("--dry-run", is_flag=True, help="Only tell the bytes that BigQuery would read.")
@pass_session
def train(session: Session, at: datetime | None, *, dry_run: bool) -> None:
    """Fit the models on what is known, and promote those that are better.

    A model is promoted only if it beats the one before it and the plain mean of the forecasters on
    data later than its training. With --at nothing that became known later is looked at.

    \b
      skyblend train --at 2021-12-31T13:00Z
    """
    from skyblend.cli.drain import settle_events
    from skyblend.predict.train.job import train as run

    if at is not None and at > times.now():  # its models would outrank all until then
        raise click.UsageError(f"--at: expected a time that is past, got {times.text(at)}")
    runtime = session.runtime()
    if dry_run:
        _tell_bytes(runtime, at or times.now())
        return
    report = run(runtime, at=at or times.now())
    settle_events(session, runtime)
    for one in report.series:
        click.echo(_line(one))
    if not report.series:
        raise click.ClickException("no forecasts are known to learn from: collect or upload some")


def _tell_bytes(runtime: "Runtime", at: datetime) -> None:
    """The bytes of each query of a training; its scores and skill come of the same rows."""
    from skyblend.predict.train.job import told
    from skyblend.runtime import places
    from skyblend.runtime.tables.bigquery import BigQueryTables
    from skyblend.runtime.tables.bigquery.dry import DryRun

    if not isinstance(runtime.tables, BigQueryTables):
        raise click.UsageError(
            "--dry-run tells what BigQuery would read; here SKYBLEND_TABLES is "
            f"{runtime.settings.tables}, and reading costs nothing"
        )
    dry, known = DryRun(runtime.tables), places.read(runtime.storage)
    list(told(dry, runtime.settings, at=at, configured=known))
    for one in dry.asked:
        click.echo(f"{', '.join(one.query.variables)} of {one.table}: {one.bytes} bytes")
    total = sum(one.bytes for one in dry.asked)
    limit = runtime.settings.query_limit
    click.echo(f"{total} bytes in {len(dry.asked)} queries; SKYBLEND_QUERY_LIMIT of each: {limit}")


def _line(one: "SeriesReport") -> str:
    """What became of one series: the model, the scores (mean CRPS) that decided, and why."""
    scores = ", ".join(f"{name} {score:.3f}" for name, score in one.scores.items())
    became = f"model {one.model_id}" if one.model_id else "no new model"
    return f"{one.series}: {became} ({one.reason}); {one.rows} rows; CRPS {scores or 'none'}"
