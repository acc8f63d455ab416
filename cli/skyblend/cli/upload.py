"""`skyblend upload`: take in archives and files, and tell what became of each."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from skyblend.cli.drain import settle
from skyblend.cli.session import Session, pass_session
from skyblend.cli.times import now
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage
from tqdm import tqdm

if TYPE_CHECKING:
    from skyblend.ingest.uploads import StoredUpload
    from skyblend.runtime.place import Runtime

# What DuckDB may take here, unless SKYBLEND_TABLES_MEMORY says otherwise; the rest is spilled.
_TABLES_MEMORY = "128MB"
# Reasons that are shown for a file; `skyblend quarantine list` shows all.
_REASONS = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file: its counts by preprocess (None: not yet), and why not all."""

    file: Path
    created: bool
    is_news: bool
    counts: dict[str, Any] | None
    reasons: tuple[str, ...]

    @property
    def is_refused(self) -> bool:
        """Whether nothing of it became a record, and something is quarantined."""
        return bool(self.counts and self.counts["quarantined"] and not records(self.counts))


@click.command()
@click.option("--source", default="", help="Which provider; default: recognised from the content.")
@click.option("--collect", is_flag=True, help="Also ask the providers for the places in the files.")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    metavar="FILE...",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
)
@pass_session
def upload(session: Session, files: tuple[Path, ...], *, source: str, collect: bool) -> None:
    """Take in FILEs of forecasts and observations: tidy CSV or Parquet, NWS bulletins; also as .gz,
    .tar.gz or .zip.

    Each file is kept as it is, read, checked and recorded. What cannot be used is quarantined with
    its reason, and the good rest goes on. A second upload of the same file changes nothing. Returns
    when all is recorded or quarantined, through a running `up` or without one; with exit code 1
    where a file gave no record and was refused.

    \b
      skyblend upload scs_2021-*.tar.gz
      skyblend upload --source tidy forecasts.csv observations.csv
    """
    runtime = session.runtime(tables_memory=_TABLES_MEMORY)
    stored = [_store(runtime, file, source=source, collect=collect) for file in files]
    marks = [names.processed(one.object) for one in stored]
    with _progress(files, marks, runtime.storage) as told:
        settle(session, runtime, is_done=lambda: told() == len(marks), told=told)
    outcomes = [
        _outcome(runtime.storage, file, one) for file, one in zip(files, stored, strict=True)
    ]
    click.echo("\n".join(table(outcomes)))
    if any(outcome.counts is None for outcome in outcomes):
        raise click.ClickException("not everything is recorded yet: see above")
    if refused := sum(outcome.is_refused for outcome in outcomes):
        raise click.ClickException(f"{refused} of {len(outcomes)} files gave no record: see above")


def _store(runtime: "Runtime", file: Path, *, source: str, collect: bool) -> "StoredUpload":
    from skyblend.ingest.uploads import store

    with file.open("rb") as stream:
        return store(
            runtime, stream, file_name=file.name, source=source, collect=collect, now=now()
        )


@contextmanager
def _progress(
    files: Sequence[Path], marks: Sequence[str], storage: Storage
) -> Iterator[Callable[[], int]]:
    """A bar of bytes on standard error; gives what moves it and tells how many files are done."""
    sizes = dict(zip(marks, (file.stat().st_size for file in files), strict=True))
    with tqdm(
        total=sum(sizes.values()), unit="B", unit_scale=True, leave=False, disable=None
    ) as bar:

        def told() -> int:
            for mark in [mark for mark in sizes if storage.generation(mark)]:
                bar.update(sizes.pop(mark))
            return len(marks) - len(sizes)

        yield told


def _outcome(storage: Storage, file: Path, stored: "StoredUpload") -> Outcome:
    counts = _json(storage, names.processed(stored.object))
    entries = (_json(storage, names.quarantine(stored.object)) or {"entries": []})["entries"]
    reasons = tuple(
        f"{entry['member'] or entry['file_name']}: at {entry['where']} "
        f"expected {entry['expected']}, got {entry['got']}"
        for entry in entries[:_REASONS]
    )
    return Outcome(
        file=file,
        created=stored.created,
        is_news=bool(stored.event),
        counts=counts,
        reasons=reasons,
    )


def table(outcomes: Sequence[Outcome]) -> Iterator[str]:
    """A line for each file under a heading, and under a file with refusals or flagged values the
    first reasons."""
    yield _row("file", "stored", "records", "versions", "unchanged", "quarantined", "flagged")
    for outcome in outcomes:
        yield _line(outcome)
        yield from (f"    {reason}" for reason in outcome.reasons)
        more = (outcome.counts or {}).get("quarantined", 0) - len(outcome.reasons)
        if more > 0:
            yield f"    and {more} more: skyblend quarantine list"
        flags = (outcome.counts or {}).get("flag_reasons", [])
        yield from (f"    flagged: {reason}" for reason in flags[:_REASONS])
        if len(flags) > _REASONS:
            yield f"    and flags of {len(flags) - _REASONS} more kinds: skyblend quarantine list"


def records(counts: Mapping[str, Any]) -> int:
    """How many rows a file gave."""
    return int(counts["forecasts"] + counts["observations"])


def _line(outcome: Outcome) -> str:
    stored = "yes" if outcome.created else "already"
    counts = outcome.counts
    if counts is None:
        return _row(outcome.file.name, stored, "is tried again by the next command or `up`")
    rows = records(counts)
    new, same = (counts["versions"], counts["unchanged"]) if outcome.is_news else (0, rows)
    refused, flagged = counts["quarantined"], counts.get("flagged", 0)
    return _row(outcome.file.name, stored, rows, new, same, refused, flagged)


def _row(file: str, stored: str, *cells: object) -> str:
    return f"{file:<28} {stored:<8}" + "".join(
        f"{'-' if cell is None else cell!s:>12}" for cell in cells
    )


def _json(storage: Storage, name: str) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = json.loads(storage.read(name).data)
    except Absent:
        return None
    return found
