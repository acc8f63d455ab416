"""Amounts of a month times prices."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from skyblend.cli.costs.model import Line
from skyblend.cli.costs.prices import Price


@dataclass(frozen=True, slots=True)
class Cost:
    """What a line costs in euros: at list prices, and beyond what is free each month."""

    what: str
    service: str
    price: str
    amount: float
    listed: float
    beyond_free: float


def bill(lines: Iterable[Line], prices: Mapping[str, Price], *, rate: float) -> tuple[Cost, ...]:
    """The costs, dearest first. What is free is shared out among the lines of one price; `rate` is
    euros for a US dollar."""
    given = [one for one in lines if one.amount]
    totals: dict[str, float] = {}
    for one in given:
        totals[one.price] = totals.get(one.price, 0.0) + one.amount
    costs = (_cost(one, prices[one.price], totals[one.price], rate) for one in given)
    return tuple(sorted(costs, key=lambda cost: -cost.listed))


def _cost(line: Line, price: Price, total: float, rate: float) -> Cost:
    share = line.amount / total
    return Cost(
        line.what,
        price.service,
        line.price,
        line.amount,
        listed=price.cost(total, with_free=False) * share * rate,
        beyond_free=price.cost(total, with_free=True) * share * rate,
    )


def by_service(costs: Iterable[Cost]) -> dict[str, tuple[float, float]]:
    """Euros at list prices and beyond what is free, by service, dearest first."""
    found: dict[str, tuple[float, float]] = {}
    for one in costs:
        listed, beyond = found.get(one.service, (0.0, 0.0))
        found[one.service] = listed + one.listed, beyond + one.beyond_free
    return dict(sorted(found.items(), key=lambda item: -item[1][0]))
