"""`skyblend backtest`: forecast a past period with only what was known then."""

from datetime import date, time
from pathlib import Path

import click
from skyblend.cli import times
from skyblend.cli.drafts import draft_of
from skyblend.cli.session import Session, pass_session


@click.command()
@click.option("--variable", required=True, help="As in temperature_2m, temperature_2m_max ...")
@click.option("--from", "first", type=times.Day(), required=True, help="First UTC date forecast.")
@click.option("--to", "last", type=times.Day(), required=True, help="Last UTC date, inclusive.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), required=True, help="A CSV file."
)
@click.option(
    "--cycle",
    "cycles",
    type=times.Cycle(),
    multiple=True,
    help="Forecast at this time of each day; repeated. Default: whenever forecasts became known.",
)
@click.option(
    "--holdout-places", metavar="N/K", help="Places that are forecast without their own history."
)
@pass_session
def backtest(
    session: Session,
    *,
    variable: str,
    first: date,
    last: date,
    out: Path,
    cycles: tuple[time, ...],
    holdout_places: str | None,
) -> None:
    """Forecast a past period again, at each time with only what was known then, training included.

    OUT gets one row for each forecast: place_id, issued_at, valid_at, variable, mean and the
    quantiles q05, q10 ... q95. Where there is nothing to forecast from it is not written, and the
    exit code is 1.

    \b
      skyblend backtest --variable temperature_2m --from 2004-01-28 --to 2004-02-12 --out q.csv
    """
    from skyblend.predict.train.backtest import Holdout
    from skyblend.predict.train.backtest import backtest as run

    if last < first:
        raise click.UsageError(f"--to: expected {first} or later, got {last}")
    holdout = Holdout.parse(holdout_places) if holdout_places else None
    runtime = session.reading()
    with draft_of(out) as draft:
        report = run(
            runtime,
            variable=variable,
            first=first,
            last=last,
            out=draft,
            cycles=cycles,
            holdout=holdout,
        )
        if not report.rows:
            raise click.ClickException(
                f"no forecast of {variable} for {first} to {last} is known: {out} is not written"
            )
    click.echo(
        f"{report.rows} rows of {report.cycles} cycles in {out}; {report.fits} models fitted, "
        f"{report.without_model} cycles without one"
    )
