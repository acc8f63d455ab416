"""`skyblend ledger`: what was issued stays as it was issued."""

import click
from skyblend.cli.session import Session, pass_session


@click.group()
def ledger() -> None:
    """The ledger: each forecast as it was issued, in segments of which each holds the hash of the
    one before, so that a later change shows.
    """


@ledger.command()
@pass_session
def verify(session: Session) -> None:
    """Read the whole ledger and check each segment and its link to the one before.

    Prints a line for each that is missing, changed or forked, and ends with exit code 1 where there
    is one. It changes nothing.
    """
    from skyblend.predict.serve.ledger import verify as check

    report = check(session.reading().storage)
    for problem in report.problems:
        click.echo(problem)
    click.echo(f"{report.segments} segments, {len(report.problems)} problems")
    if not report.is_sound:
        raise click.exceptions.Exit(1)
