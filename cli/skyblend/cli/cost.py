"""`skyblend cost`: what a project on Google Cloud takes and costs, before it is there."""

import json

import click


@click.command()
@click.option("--places", default=1000, show_default=True, type=click.IntRange(1))
@click.option("--sources", default=5, show_default=True, help="The first so many of the table.")
@click.option("--models", default=6, show_default=True, type=click.IntRange(1, 6))
@click.option("--every", default="1h", show_default=True, help="Between rounds: 30m, 1h, 1d.")
@click.option("--paid", is_flag=True, help="As if no provider had a quota.")
@click.option(
    "--requests",
    default=100_000,
    show_default=True,
    type=click.IntRange(0),
    help="Forecasts asked a month.",
)
@click.option(
    "--month", default=1, show_default=True, type=click.IntRange(1, 600), help="Which one."
)
@click.option("--with", "measures", multiple=True, metavar="MEASURE", help="Built for less.")
@click.option("--price", "given", multiple=True, metavar="NAME=USD", help="Another list price.")
@click.option("--rate", default=0.92, show_default=True, help="Euros for a US dollar.")
@click.option("--prices", "shown", is_flag=True, help="Only the prices, and from when they are.")
@click.option("--measures", "compared", is_flag=True, help="Only what each measure saves.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of tables.")
def cost(
    *,
    places: int,
    sources: int,
    models: int,
    every: str,
    paid: bool,
    requests: int,
    month: int,
    measures: tuple[str, ...],
    given: tuple[str, ...],
    rate: float,
    shown: bool,
    compared: bool,
    as_json: bool,
) -> None:
    """What collecting, storing and serving takes and costs in a month on Google Cloud.

    Prices are list prices of europe-west1 as the authors knew them, not looked up now: check them
    with --prices, and give what is other with --price. `<` marks a source whose quota, not your
    wish, decides how often it is asked.

    \b
      skyblend cost --places 1000 --sources 5 --every 1h
      skyblend cost --places 1000 --with issued-shards --with train-30-days
      skyblend cost --price run_cpu=0.000028 --rate 0.95 --json
    """
    from skyblend.cli.costs import table
    from skyblend.cli.costs.bill import bill
    from skyblend.cli.costs.design import Design, improved
    from skyblend.cli.costs.model import Plan, lines
    from skyblend.cli.costs.prices import listing, overridden
    from skyblend.cli.costs.providers import providers, without_quotas

    if not 0 < rate < float("inf"):
        raise click.UsageError(f"--rate: expected a number above 0, got {rate}")
    if as_json and (shown or compared):
        raise click.UsageError("--json: expected it without --prices and --measures")
    prices = overridden(given)
    if shown:
        click.echo("\n".join(listing(prices)))
        return
    asked = providers(sources, models=models)
    plan = Plan(
        places=places,
        providers=without_quotas(asked) if paid else asked,
        every=_hours(every),
        requests=requests,
        month=month,
        design=improved(Design(), measures),
    )
    costs = bill(lines(plan), prices, rate=rate)
    if compared:
        click.echo(table.measures(plan, prices, rate=rate))
    elif as_json:
        click.echo(json.dumps(table.as_json(plan, costs, rate=rate)))
    else:
        click.echo(table.text(plan, costs, rate=rate))


def _hours(given: str) -> float:
    """Hours of 1h, 90m or 1d."""
    units = {"m": 1 / 60, "h": 1.0, "d": 24.0}
    number, unit = given[:-1], given[-1:]
    try:
        hours = float(number) * units[unit]
    except (ValueError, KeyError):
        hours = 0.0
    if not 0 < hours <= 730:
        raise click.UsageError(
            f"--every: expected something like 1h, 30m or 1d, of 30 days at most, got {given[:40]}"
        )
    return hours
