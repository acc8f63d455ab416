"""The figures of a plan as a table for people, and as JSON."""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from skyblend.cli.costs.bill import Cost, bill, by_service
from skyblend.cli.costs.design import MEASURES, Measure, improved
from skyblend.cli.costs.model import Plan, Rounds, amounts, lines, rounds, trained_rows
from skyblend.cli.costs.prices import Price
from skyblend.cli.costs.providers import DAY, MONTH

_DEAREST = 8
_ROUND_SECONDS = 600.0  # in which an hour's work shall be through
_QUERY_LIMIT = 20 << 30  # bytes, the default of the setting
_JOB_MEMORY = 4 << 30  # as deploy/gcp has it
_MONTHS = (1, 12)


def text(plan: Plan, costs: Sequence[Cost], *, rate: float) -> str:
    """All tables."""
    parts = [_head(plan, rate), *_sources(plan), "", *_quantities(plan), "", *_euros(costs)]
    return "\n".join((*parts, *_warnings(plan)))


def measures(plan: Plan, prices: Mapping[str, Price], *, rate: float) -> str:
    """What each measure saves by itself, and what several together, in the first month and after a
    year."""

    def row(name: str, about: str, chosen: Iterable[Measure]) -> str:
        names = [one.name for one in chosen]
        told = (
            f"{amount:11,.2f}"
            for month in _MONTHS
            for amount in _total(bill(lines(_built(plan, month, names)), prices, rate=rate))
        )
        return f"{name:20}{''.join(told)}  {about}".rstrip()

    return "\n".join(
        (
            f"{'euros a month':20}{'month 1':>11}{'-free':>11}{'month 12':>11}{'-free':>11}",
            row("as it is built", "", ()),
            *(row(one.name, _measure(one), (one,)) for one in MEASURES),
            row("all of them", "", MEASURES),
        )
    )


def _measure(one: Measure) -> str:
    return f"{one.about} ({one.setting or 'to be built'})"


def _built(plan: Plan, month: int, chosen: Sequence[str]) -> Plan:
    return replace(plan, month=month, design=improved(plan.design, chosen))


def _warnings(plan: Plan) -> Iterator[str]:
    """What is counted, but does not work at this size."""
    rows = trained_rows(plan)
    read, held = rows * plan.work.training_row, rows * plan.work.training_held
    if read > _QUERY_LIMIT:
        yield (
            f"\n! a training reads {read / 2**30:,.0f} GiB a variable: above SKYBLEND_QUERY_LIMIT "
            f"({_QUERY_LIMIT / 2**30:.0f} GiB) it is refused"
        )
    if held > _JOB_MEMORY:
        yield (f"! a training holds {held / 2**30:,.0f} GiB; its job has {_JOB_MEMORY / 2**30:.0f}")


def as_json(plan: Plan, costs: Sequence[Cost], *, rate: float) -> dict[str, Any]:
    """The same as one object."""
    month = amounts(plan)
    return {
        "places": plan.places,
        "every_hours": plan.every,
        "month": plan.month,
        "euros_for_a_dollar": rate,
        "sources": [_source(one) for one in rounds(plan)],
        "quantities": {name: amount for name, amount, _ in _amounts(plan)},
        "instance_seconds": month.seconds,
        "euros": {
            name: {"listed": listed, "beyond_free": beyond}
            for name, (listed, beyond) in by_service(costs).items()
        },
        "total": {"listed": _total(costs)[0], "beyond_free": _total(costs)[1]},
        "lines": [
            {
                "what": one.what,
                "price": one.price,
                "amount": one.amount,
                "listed": one.listed,
                "beyond_free": one.beyond_free,
            }
            for one in costs
        ],
    }


def _head(plan: Plan, rate: float) -> str:
    sources = f"{len(plan.providers)} source{'s' if len(plan.providers) > 1 else ''}"
    return (
        f"{plan.places:,} places, {sources}, a round every {_hours(plan.every)} where quotas "
        f"allow; month {plan.month}; {rate} euros a dollar\n"
    )


def _sources(plan: Plan) -> Iterator[str]:
    yield f"{'source':16}{'calls/day':>12}{'counted as':>13}{'free a day':>13}{'reached':>9}"
    for one in rounds(plan):
        free = one.provider.daily()
        reached = f"{_hours(one.every)}" if math.isfinite(one.every) else "never"
        mark = " <" if one.every > plan.every else ""
        here = "" if one.provider.is_here else " *"
        yield (
            f"{one.provider.name + here:16}"
            f"{one.calls * DAY / MONTH:12,.0f}{one.weighted_daily:13,.0f}"
            f"{f'{free:,.0f}' if math.isfinite(free) else '-':>13}{reached:>9}{mark}"
        ).rstrip()
    if any(one.every > plan.every for one in rounds(plan)):
        yield "< its quota, not your wish, decides"
    if not all(one.is_here for one in plan.providers):
        yield "* not a source of this version; sizes of recorded answers"


def _quantities(plan: Plan) -> Iterator[str]:
    yield "a month"
    for name, amount, unit in _amounts(plan):
        yield f"  {name:28}{amount:18,.{0 if amount >= 100 else 1}f}  {unit}".rstrip()


def _amounts(plan: Plan) -> Iterator[tuple[str, float, str]]:
    month = amounts(plan)
    yield "calls to providers", month.calls, ""
    yield "raw objects", month.tasks, ""
    yield "messages", month.messages, ""
    yield "issues of a place", month.issues, ""
    yield "rows of records", month.rows, ""
    yield "raw answers", month.raw_bytes * plan.design.raw_share / 2**30, "GiB"
    yield "rows in BigQuery", month.rows * plan.work.bigquery_row / 2**30, "GiB"
    yield "a training reads a variable", trained_rows(plan) * plan.work.training_row / 2**30, "GiB"
    for service, seconds in month.seconds.items():
        average = seconds / (MONTH * 3600)
        busy = math.ceil(seconds / MONTH / _ROUND_SECONDS)
        yield f"{service}, instance seconds", seconds, f"{average:.2f} instances, {busy} at work"


def _euros(costs: Sequence[Cost]) -> Iterator[str]:
    yield f"{'euros a month':30}{'list prices':>12}{'beyond free':>13}"
    for name, (listed, beyond) in by_service(costs).items():
        yield f"  {name:28}{listed:12,.2f}{beyond:13,.2f}"
    listed, beyond = _total(costs)
    yield f"  {'together':28}{listed:12,.2f}{beyond:13,.2f}"
    yield ""
    yield "the dearest lines"
    for one in costs[:_DEAREST]:
        name = f"{one.what}: {one.price}"
        yield f"  {name:28}{one.listed:12,.2f}{one.beyond_free:13,.2f}"


def _total(costs: Sequence[Cost]) -> tuple[float, float]:
    return sum(one.listed for one in costs), sum(one.beyond_free for one in costs)


def _hours(hours: float) -> str:
    return f"{hours:g} h"


def _source(one: Rounds) -> dict[str, Any]:
    free = one.provider.daily()
    return {
        "source": one.provider.name,
        "note": one.provider.note,
        "is_here": one.provider.is_here,
        "calls_a_day": one.calls * DAY / MONTH,
        "weighted_a_day": one.weighted_daily,
        "free_a_day": free if math.isfinite(free) else None,
        "every_hours": one.every if math.isfinite(one.every) else None,
    }
