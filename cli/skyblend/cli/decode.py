"""`skyblend decode`: the records of one answer or file, as JSON lines."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click
from skyblend.cli import times
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.preprocess.archives import Lost
    from skyblend.preprocess.entries import Entries
    from skyblend.preprocess.intake import Intake
    from skyblend.preprocess.members import Member, Origin

_TYPES = {"forecasts": "forecast", "observations": "observation"}


@click.command()
@click.option(
    "--source",
    required=True,
    help="Which provider: open_meteo, nws_scs, tidy ...",
)
@click.option(
    "--received-at",
    type=times.Instant(),
    help="When the answer came; default: the Date in FILE.meta.json, else now.",
)
@click.option(
    "--place",
    "places",
    multiple=True,
    help="The place that was asked for; repeated, in the order of the request.",
)
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@pass_session
def decode(
    session: Session,
    file: Path,
    *,
    source: str,
    received_at: datetime | None,
    places: tuple[str, ...],
) -> None:
    """Show the records of FILE as JSON lines on standard output; nothing is stored.

    FILE may be packed as .gz, .tar.gz or .zip. `FILE.meta.json` beside it, where there is one,
    tells the status, headers and url of the answer; the endpoint is recognised from the body.

    A payload that is refused as a whole, and each row that is, prints its reason on standard error.
    The exit code is 1 if a refusal left no record at all, else 0.

    \b
      skyblend decode --source open_meteo --place Berlin answer.json
      skyblend decode --source nws_scs SCS01_202101301250.txt
    """
    from skyblend.preprocess.intake import intake
    from skyblend.preprocess.members import Origin
    from skyblend.runtime.storage.memory import MemoryStorage
    from skyblend.sources.registry import SOURCES

    if source not in SOURCES:
        raise click.UsageError(f"--source: expected one of {', '.join(SOURCES)}, got {source}")
    meta = _meta(file)
    received = received_at or _date(meta) or times.now()
    origin = Origin(
        raw=file.name, source=source, file_name=file.name, received_at=received, collect=False
    )
    with intake(MemoryStorage(), origin) as taken, file.open("rb") as stream:
        for member in _members(session, origin, stream, meta=meta, places=places):
            taken.take(member)
        taken.finish()
        printed = _print_records(taken)
    _tell(taken.entries)
    if taken.entries.count and not printed:
        raise click.exceptions.Exit(1)


def _members(
    session: Session,
    origin: "Origin",
    stream: BinaryIO,
    *,
    meta: Mapping[str, Any],
    places: Iterable[str],
) -> "Iterator[Member | Lost]":
    """What is in the file, each as the payload that it was when it came."""
    from skyblend.preprocess.archives import Lost, unpack
    from skyblend.preprocess.bounded import Limits
    from skyblend.preprocess.members import Member
    from skyblend.protos.v1.records_pb2 import Place
    from skyblend.sources.contract import Payload
    from skyblend.sources.registry import SOURCES

    settings = session.settings()
    limits = Limits(member=settings.member_limit, unpacked=settings.unpacked_limit)
    for part in unpack(origin.file_name, stream, limits):
        if isinstance(part, Lost):
            yield part
            continue
        payload = Payload(
            body=part.body,
            received_at=origin.received_at,
            name=part.name,
            upload=not SOURCES[origin.source].schedules,
            url=str(meta.get("url", "")),
            places=tuple(Place(id=place) for place in places),
            status=int(meta.get("status", 200)),
            headers={name: str(value) for name, value in meta.get("headers", {}).items()},
        )
        yield Member(part.name, part.name, origin.source, payload)


def _print_records(taken: "Intake") -> int:
    """Print the records of both kinds; gives how many."""
    import orjson
    import pyarrow.parquet as pq

    count = 0
    output = sys.stdout.buffer
    for kind in _TYPES:
        if (file := taken.files.finished(kind)) is None:
            continue
        parquet: Any = pq.ParquetFile(file)
        for batch in parquet.iter_batches():
            for row in batch.to_pylist():
                output.write(orjson.dumps(record(kind, row), option=orjson.OPT_APPEND_NEWLINE))
                count += 1
    output.flush()
    return count


def record(kind: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """A row as it is shown: times as text, and nothing that is missing."""
    shown = {
        name: times.text(value) if isinstance(value, datetime) else value
        for name, value in row.items()
        if name != "raw" and value not in (None, [])
    }
    return {"type": _TYPES[kind], **shown}


def _tell(entries: "Entries") -> None:
    """What was refused, and what the contract does not know, on standard error."""
    for entry in entries.finished():
        click.echo(
            f"{entry['member'] or entry['file_name']}: at {entry['where']} "
            f"expected {entry['expected']}, got {entry['got']}",
            err=True,
        )
    for where, count in entries.unknown_fields.items():
        click.echo(f"unknown field {where}, {count} times", err=True)


def _meta(file: Path) -> Mapping[str, Any]:
    path = file.with_name(f"{file.name}.meta.json")
    found: Mapping[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    return found


def _date(meta: Mapping[str, Any]) -> datetime | None:
    headers = {str(name).lower(): str(value) for name, value in meta.get("headers", {}).items()}
    return parsedate_to_datetime(headers["date"]) if "date" in headers else None
