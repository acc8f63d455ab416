"""What a month takes: calls, objects, messages, bytes and seconds, for a user's own numbers.

Pure: places, providers, the design and its measured work in; amounts of what is billed out.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from skyblend.cli.costs.design import Design, Work
from skyblend.cli.costs.providers import DAY, MONTH, Provider
from skyblend.runtime.tables.bigquery.training import HOURS

_MESSAGE = 1_000  # bytes that are billed at least, published and pushed
# Class of raw objects -> months until they move on, and what the move to it is charged as.
_CLASSES = (
    ("standard", 1.0, ""),
    ("nearline", 3.0, "nearline_a"),
    ("coldline", 12.0, "coldline_a"),
    ("archive", math.inf, "archive_a"),
)
_LONG_TERM_AFTER = 3.0  # months, of a partition that nothing is written to
# Name of a service -> its memory in GiB, as deploy/gcp has it.
_MEMORY = {"ingest": 0.5, "preprocess": 2.0, "serve": 0.5}


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is wished: rounds every so many hours; `month` is the one that is looked at, counted
    from 1, since what is stored grows."""

    places: int
    providers: tuple[Provider, ...]
    every: float = 1.0
    tick_minutes: float = 15.0
    requests: float = 100_000.0  # forecasts that are asked for in a month
    month: int = 1
    design: Design = field(default_factory=Design)
    work: Work = field(default_factory=Work)


@dataclass(frozen=True, slots=True)
class Line:
    """So much of something that has a price, and what for."""

    what: str
    price: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What one provider is asked in a month."""

    provider: Provider
    every: float  # hours; infinite where its quota allows no round
    rounds: float
    calls: float
    weighted_daily: float
    tasks: float


def rounds(plan: Plan) -> tuple[Rounds, ...]:
    """What each provider is asked, as often as wished and as its quota allows."""
    return tuple(_rounds(plan, one) for one in plan.providers)


def _rounds(plan: Plan, one: Provider) -> Rounds:
    every = one.reached(plan.places, plan.every)
    count = MONTH / every
    return Rounds(
        provider=one,
        every=every,
        rounds=count,
        calls=one.calls(plan.places) * count,
        weighted_daily=one.weighted(plan.places, every) if count else 0.0,
        tasks=math.ceil(plan.places / plan.design.task_places) * count,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Amounts:
    """The quantities of a month that the lines are made of."""

    calls: float
    tasks: float  # raw objects
    ticks: float
    issues: float  # of one place
    values: float
    rows: float
    raw_bytes: float
    messages: float
    seconds: dict[str, float]  # of instances, by service


def amounts(plan: Plan) -> Amounts:
    """All quantities of a month."""
    asked = rounds(plan)
    tasks = sum(one.tasks for one in asked)
    calls = sum(one.calls for one in asked)
    values = sum(plan.places * one.rounds * one.provider.values for one in asked)
    raw_bytes = sum(plan.places * one.rounds * one.provider.raw_bytes for one in asked)
    issues = _issues(plan, asked)
    over_bus = tasks if _fans_out(plan) else 0.0
    return Amounts(
        calls=calls,
        tasks=tasks,
        ticks=MONTH * 60 / plan.tick_minutes,
        issues=issues,
        values=values,
        rows=sum(plan.places * one.rounds * one.provider.rows for one in asked),
        raw_bytes=raw_bytes,
        messages=2 * tasks + over_bus,
        seconds={
            "ingest": _ingest_seconds(plan, calls, tasks) + raw_bytes * plan.work.pack_byte,
            "preprocess": _preprocess_seconds(plan, tasks, values),
            "serve": _serve_seconds(plan, issues),
        },
    )


def _fans_out(plan: Plan) -> bool:
    tasks = math.ceil(plan.places / plan.design.task_places) * len(plan.providers)
    return 0 < plan.design.fan_out < tasks


def _issues(plan: Plan, asked: Sequence[Rounds]) -> float:
    """Of one place: with each answer, or each hour."""
    arrivals = sum(one.rounds for one in asked)
    hourly = max(arrivals, MONTH) if plan.design.issues_by_event else MONTH
    return plan.places * hourly


def _latest_writes(plan: Plan, tasks: float) -> float:
    return tasks * math.ceil(plan.design.task_places / plan.design.latest_together)


def _ingest_seconds(plan: Plan, calls: float, tasks: float) -> float:
    work, design = plan.work, plan.design
    together = min(design.tasks_together, len(plan.providers))
    waiting = calls * work.provider_seconds / design.fetched_together
    fetched = max(waiting / together, calls * work.collect_call)
    ticks = MONTH * 60 / plan.tick_minutes
    quiet = (
        3 * (len(plan.providers) + 1) * work.storage_seconds
        + plan.places * len(plan.providers) * work.tick_place
    )
    stored = tasks * 6 * work.storage_seconds / together
    return fetched + stored + ticks * (quiet + work.start)


def _preprocess_seconds(plan: Plan, tasks: float, values: float) -> float:
    """One message at a time: all that it waits for the bucket is paid for."""
    work, design = plan.work, plan.design
    busy = tasks * design.task_places * work.preprocess_place + values * work.preprocess_value
    calls = 2 * _latest_writes(plan, tasks) + tasks * 9
    loads = 2 * MONTH * 4 * work.start
    return busy + calls * work.storage_seconds + loads


def _serve_seconds(plan: Plan, issues: float) -> float:
    work, design = plan.work, plan.design
    calls = issues * (1 / design.issued_together + _issue_reads(plan))
    asked = plan.requests * work.serve_request
    return issues * work.issue_place + calls * work.storage_seconds + asked + MONTH * work.start


def _issue_reads(plan: Plan) -> float:
    """Reads for an issue of one place: of its issue of before, and its share in those of the parts
    of latest/ that hold it, one of each provider."""
    design = plan.design
    parts = len(plan.providers) * design.latest_reads / design.latest_together
    return design.issue_reads / design.issued_together + parts


def lines(plan: Plan) -> Iterator[Line]:
    """All that is billed."""
    month = amounts(plan)
    yield from _running(plan, month)
    yield from _calling(plan, month)
    yield from _storing(plan, month)
    yield from _tables(plan, month)
    yield from _around(plan, month)


def _running(plan: Plan, month: Amounts) -> Iterator[Line]:
    for service, seconds in month.seconds.items():
        yield Line(service, "run_cpu", seconds)
        yield Line(service, "run_memory", seconds * _MEMORY[service])
    yield Line("requests", "run_requests", _requests(plan, month))
    training = 30.4 * (300 + plan.places * 0.3)  # seconds, assumed
    yield Line("training", "job_cpu", 2 * training)
    yield Line("training", "job_memory", 4 * training)
    yield Line("messages", "pubsub", 2 * _MESSAGE * month.messages)


def _requests(plan: Plan, month: Amounts) -> float:
    return month.messages + month.ticks + MONTH * 5 + plan.requests


def _calling(plan: Plan, month: Amounts) -> Iterator[Line]:
    design, sources = plan.design, len(plan.providers)
    latest = _latest_writes(plan, month.tasks)
    cycles = month.tasks if design.issues_by_event else MONTH
    issued = month.issues / design.issued_together
    reads = month.issues * _issue_reads(plan)
    announced = 4 * MONTH * (3 * sources + 8)  # a look each quarter of an hour
    yield Line("ticks", "class_a", month.ticks * 2 * sources + announced)
    yield Line("ticks", "class_b", month.ticks * (4 * sources + 2))
    yield Line("raw and records", "class_a", month.tasks * design.class_a_object)
    yield Line("raw and records", "class_b", month.tasks * design.class_b_object)
    yield Line("latest/", "class_a", latest)
    yield Line("latest/", "class_b", latest)
    yield Line("issues", "class_a", issued + cycles)
    yield Line("issues", "class_b", reads + 7 * cycles + _looks(plan))
    yield Line("loads", "class_a", MONTH * 4 * 4)


def _looks(plan: Plan) -> float:
    """Reads of the hourly issue that finds nothing new, where events issue the places."""
    looks = _issue_reads(plan) * MONTH * plan.places
    return looks if plan.design.issues_by_event else 0.0


def _storing(plan: Plan, month: Amounts) -> Iterator[Line]:
    """What lies there in the middle of the month."""
    age = plan.month - 0.5
    work, design = plan.work, plan.design
    since = 0.0
    for storage_class, until, move in _CLASSES:
        months = max(0.0, min(age, until) - since)
        yield Line("raw/", storage_class, month.raw_bytes * design.raw_share * months)
        if move and age > since:
            yield Line("raw/", move, month.tasks)
        since = until
    yield Line("records/", "standard", _record_bytes(plan, month) * age)
    yield Line("ledger/", "standard", month.issues * work.ledger_place * age)
    latest, issued = _latest_bytes(plan), plan.places * work.issued_place
    yield Line("latest/, issued/", "standard", latest + issued)
    yield Line("old versions", "standard", _overwritten_daily(plan, month) * design.kept_days)


def _record_bytes(plan: Plan, month: Amounts) -> float:
    work = plan.work
    place_rounds = month.tasks * plan.design.task_places
    return place_rounds * work.records_place + month.values * work.records_value


def _latest_bytes(plan: Plan) -> float:
    return plan.places * plan.work.latest_value * sum(one.values for one in plan.providers)


def _overwritten_daily(plan: Plan, month: Amounts) -> float:
    """Bytes that a day replaces: an object is written whole, whatever of it is new."""
    days = MONTH / DAY
    writes = _latest_writes(plan, month.tasks) / days
    objects = max(1, plan.places / plan.design.latest_together)
    issued = month.issues / days * plan.work.issued_place
    return writes * _latest_bytes(plan) / objects + issued


def _tables(plan: Plan, month: Amounts) -> Iterator[Line]:
    work, design = plan.work, plan.design
    age = plan.month - 0.5
    active = min(age, _LONG_TERM_AFTER)
    copied = training_rows(plan)
    for what, grown in (
        ("tables", month.rows * work.bigquery_row),
        ("table of training", copied * work.training_stored),
    ):
        yield Line(what, "bigquery_active", grown * design.table_bytes * active)
        yield Line(what, "bigquery_long", grown * design.table_bytes * (age - active))
    if design.load_rows:
        yield Line("loads", "bigquery_query", month.rows * work.bigquery_row)
    yield Line("table of training", "bigquery_query", month.rows * work.copied_row)
    read = trained_rows(plan) * work.training_row * work.training_variables
    yield Line("training", "bigquery_query", read * MONTH / DAY)


def training_rows(plan: Plan) -> float:
    """Rows of a month in the table of training: of few hours, with a variable that is blended."""
    rows = (
        plan.places * one.rounds * one.provider.rows * _kept(one.every)
        for one in rounds(plan)
        if one.rounds
    )
    return sum(rows) * plan.work.training_share


def _kept(every: float) -> float:
    """The share of rounds, one each so many hours, that begin in an hour of that table."""
    begun = [int(number * every) % 24 for number in range(240)]
    return sum(hour in HOURS for hour in begun) / len(begun)


def trained_rows(plan: Plan) -> float:
    """Rows that a training in the middle of the month reads for one variable."""
    months = min(plan.month - 0.5, plan.design.training_days * DAY / MONTH)
    return training_rows(plan) * months


def _around(plan: Plan, month: Amounts) -> Iterator[Line]:
    yield Line("jobs", "scheduler", 4)
    yield Line("logs", "logging", _requests(plan, month) * plan.work.log_request)
    yield Line("images", "registry", 3 * 2**30)
    yield Line("keys", "secrets", len(plan.providers))
    yield Line("builds", "build", 12 * 5)
    yield Line("asking providers", "egress", month.calls * 1_500)
