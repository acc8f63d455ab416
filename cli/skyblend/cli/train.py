"""`skyblend train`: fit on what is known, and promote what is better."""

from datetime import datetime

import click
from skyblend.cli import times
from skyblend.cli.session import Session, pass_session


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

    runtime = session.runtime()
    report = run(runtime, at=at or times.now())
    settle(session, runtime, is_done=lambda: not runtime.bus.pending())
    for line in report.lines():
        click.echo(line)
