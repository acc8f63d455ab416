"""`skyblend collect`: one tick of the scheduler, by hand."""

from datetime import timedelta

import click
from skyblend.cli import times
from skyblend.cli.drain import settle_events
from skyblend.cli.session import Session, pass_session


@click.command()
@click.option("--source", help="Only this provider; default: all that have a key or need none.")
@pass_session
def collect(session: Session, source: str | None) -> None:
    """Ask the providers for what is due, for the places that they are asked for.

    What was fetched in its hour already is not fetched again. Returns when all answers are recorded
    or quarantined; with Pub/Sub when they are stored and announced. A running `up` does this each
    minute by itself.

    \b
      skyblend collect --source open_meteo
    """
    from skyblend.cli.simulation import with_simulator
    from skyblend.ingest.collect import collect as fetch_due
    from skyblend.runtime.place import runtime_for
    from skyblend.sources.registry import SOURCES

    if source is not None and source not in SOURCES:
        raise click.UsageError(f"--source: expected one of {', '.join(SOURCES)}, got {source}")
    settings = session.settings()
    asked = with_simulator(settings) if settings.is_simulated else settings
    runtime = runtime_for(asked, serves=False)
    tick = times.floor(times.now(), timedelta(minutes=1))
    report = fetch_due(runtime, tick, source=source)
    settle_events(session, runtime, report.events)
    for one in report.sources:
        until = f"; left alone until {times.text(one.until)}, as it asked" if one.until else ""
        bus = f"; {one.published} tasks went over the bus" if one.published else ""
        told = f"{one.answers} answers, {len(one.objects)} raw objects{bus}{until}"
        click.echo(f"{one.source}: {told}")
    for failure in report.failures:
        click.echo(f"{failure.source} {failure.endpoint}: {failure.reason}", err=True)
    if report.failures:
        raise click.exceptions.Exit(1)
