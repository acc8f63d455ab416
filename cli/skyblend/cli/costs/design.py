"""What the pipeline does for each raw object, place and issue: measured costs, and the parts of the
design that may be built otherwise."""

from collections.abc import Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """CPU seconds and bytes, measured by `make bench ARGS=cost_inputs` on 2026-11-21 (AMD EPYC, 2
    cores); what is assumed says so."""

    collect_call: float = 0.005  # assumed: with TLS; 0.0004 to 0.0008 a place without
    pack_byte: float = 5e-8  # of an answer, to compress it
    preprocess_place: float = 0.0013
    preprocess_value: float = 2.7e-7
    issue_place: float = 0.005
    serve_request: float = 0.00004
    tick_place: float = 0.00002  # for each source
    start: float = 1.0  # a cold start, CPU and wall
    records_place: float = 1_540.0  # bytes
    records_value: float = 0.68
    latest_value: float = 12.6
    ledger_place: float = 45_000.0
    issued_place: float = 64_000.0
    bigquery_row: float = 235.0  # logical bytes
    copied_row: float = 155.0  # of these, what copying to the table of training reads
    training_share: float = 0.51  # of the rows of a run: those with a variable that is blended
    training_stored: float = 142.0  # logical bytes of a row of that table
    training_row: float = 72.0  # of these, what a training reads for a variable
    training_variables: int = 3
    training_held: float = 580.0  # bytes of memory at most, for each row while it is read
    log_request: float = 1_500.0  # assumed: the platform's line and ours
    provider_seconds: float = 0.4  # assumed: until a provider has answered
    storage_seconds: float = 0.025  # assumed: a call to the bucket, one after the other


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """How it is built; `MEASURES` are the ways to build it for less."""

    task_places: int = 100
    fan_out: int = 20  # tasks of a tick above which they go over the bus
    fetched_together: int = 4  # calls of a task
    tasks_together: int = 4  # of different sources in one instance, on the average of a round
    class_a_object: int = 5  # raw, records, mark, two notes for the tables
    class_b_object: int = 13  # of ingest 4, of preprocess 4, of the load 5
    issue_reads: int = 3  # of a place, in issued/
    latest_reads: float = 2.0  # of an object of latest/, in a cycle that asks for it
    latest_together: int = 100  # places in one object of latest/: those of a task
    issued_together: int = 1  # places in one object of issued/
    issues_by_event: bool = False  # whether each raw object issues its places at once
    # Of the answers' bytes that raw/ holds, compressed: recorded ones shrink to 0.03 to 0.12.
    raw_share: float = 0.12
    kept_days: float = 1.5  # that what was overwritten is paid for: a day, until its rule works
    table_bytes: float = 1.0  # that BigQuery bills for a logical one
    training_days: float = 60.0  # of the table of training that a training reads
    load_rows: bool = True  # whether loading reads the rows once more


@dataclass(frozen=True, slots=True)
class Measure:
    """A change of the design, in words and by numbers; `setting` makes it, empty where it is still
    to be built."""

    name: str
    about: str
    setting: str
    changes: dict[str, object]


MEASURES = (
    Measure(
        "issued-shards",
        "100 places in one object of issued/",
        "",
        {"issued_together": 100},
    ),
    Measure(
        "train-30-days",
        "a training reads 30 days, not 60",
        "SKYBLEND_TRAIN_DAYS=30",
        {"training_days": 30.0},
    ),
    Measure(
        "physical-bytes",
        "BigQuery bills compressed bytes: twice the price, a tenth (assumed) of the bytes",
        "",
        {"table_bytes": 2 / 10},
    ),
    Measure(
        "append-only",
        "loads append without reading the rows once more",
        "",
        {"load_rows": False},
    ),
)


def improved(design: Design, names: Iterable[str]) -> Design:
    """The design with these measures. Raises ValueError for one that is not known."""
    known = {one.name: one for one in MEASURES}
    for name in names:
        if name not in known:
            raise ValueError(f"--with: expected one of {', '.join(known)}, got {name[:40]!r}")
        design = replace(design, **known[name].changes)  # type: ignore[arg-type]
    return design
