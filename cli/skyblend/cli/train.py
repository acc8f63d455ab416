"""`skyblend train`: fit on what is known, and promote what is better."""

from datetime import datetime
from typing import TYPE_CHECKING

import click
from skyblend.cli import times
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.predict.train.job import SeriesReport


@click.command()
@click.option("--at", type=times.Instant(), help="As if it were this time; default: now.")
@pass_session
def train(session: Session, at: datetime | None) -> None:
    """Fit the models on what is known, and promote those that are better.

    A model is promoted only if it beats the one before it and the plain mean of the forecasters on
    data later than its training. With --at nothing that became known later is looked at.

    \b
      skyblend train --at 2021-12-31T13:00Z
    """
    from skyblend.cli.drain import settle
    from skyblend.predict.train.job import train as run
    from skyblend.runtime.bus.sqlite import local

    if at is not None and at > times.now():  # its models would outrank all until then
        raise click.UsageError(f"--at: expected a time that is past, got {times.text(at)}")
    runtime = session.runtime()
    report = run(runtime, at=at or times.now())
    settle(session, runtime, is_done=lambda: not local(runtime.bus).pending())
    for one in report.series:
        click.echo(_line(one))
    if not report.series:
        raise click.ClickException("no forecasts are known to learn from: collect or upload some")


def _line(one: "SeriesReport") -> str:
    """What became of one series: the model, the scores (mean CRPS) that decided, and why."""
    scores = ", ".join(f"{name} {score:.3f}" for name, score in one.scores.items())
    became = f"model {one.model_id}" if one.model_id else "no new model"
    return f"{one.series}: {became} ({one.reason}); {one.rows} rows; CRPS {scores or 'none'}"
