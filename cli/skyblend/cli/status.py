"""`skyblend status`: what is there, at a glance."""

import json
import os
from collections.abc import Iterator
from datetime import UTC
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import click
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.runtime.bus import Bus
    from skyblend.runtime.place import Runtime
    from skyblend.runtime.storage import Storage

_MINUTE = "%Y-%m-%dT%H:%MZ"
_SEGMENTS = 50  # of the ledger's end that are checked


@click.command()
@pass_session
def status(session: Session) -> None:
    """Show what runs and what is there: places, newest data, events, quarantine, champions, ledger.

    Of the ledger the last segments are read and checked; `skyblend ledger verify` reads all of it.
    """
    runtime = session.reading()
    found = session.pipeline()
    click.echo(
        f"running    {found.address}, {found.realm}, process {found.pid} since {found.started_at}"
        if found
        else "running    no: `skyblend up` starts it"
    )
    root = runtime.settings.root
    click.echo(f"realm      {runtime.settings.realm}")
    click.echo(f"folder     {root}, {_size(root) / 1e6:,.1f} MB on disk")
    for name, text in _counts(runtime).items():
        click.echo(f"{name:<10} {text}")


def _counts(runtime: "Runtime") -> dict[str, str]:
    from skyblend.preprocess.quarantine import entries
    from skyblend.runtime import names, places

    storage = runtime.storage
    known = places.read(storage)
    refused = sum(1 for _ in entries(storage))
    return {
        "places": f"{len(known)}, {sum(p.collect for p in known.values())} asked of providers",
        "raw": f"{_count(storage, names.RAW)} objects, {_count(storage, names.PROCESSED)} recorded",
        "newest": _newest(storage),
        "bus": _bus(runtime.bus),
        "quarantine": f"{refused} entries",
        "models": _models(storage),
        "issued": _issued(storage),
        "ledger": _ledger(storage),
    }


def _size(root: Path) -> int:
    """Bytes of all files; one that is gone meanwhile counts for nothing."""
    return sum(_bytes(Path(folder, name)) for folder, _, files in os.walk(root) for name in files)


def _bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0


def _newest(storage: "Storage") -> str:
    """Of each source the newest run to issue from, else when its newest data came."""
    came = dict(sorted(_received(storage), key=itemgetter(1)))
    told = came | dict(sorted(_runs(storage), key=itemgetter(1)))
    return ", ".join(f"{source} {told[source]}" for source in sorted(told)) or "nothing yet"


def _runs(storage: "Storage") -> Iterator[tuple[str, str]]:
    from skyblend.runtime.latest import parts

    for latest in parts.everything(storage):
        for run in latest.runs:
            yield run.source, f"run of {run.issued_at.ToDatetime(UTC):{_MINUTE}}"


def _received(storage: "Storage") -> Iterator[tuple[str, str]]:
    """The source and the time of each raw object: from the name of what was collected, from the
    mark of what was uploaded."""
    from skyblend.preprocess.mark import read_mark
    from skyblend.runtime import names

    for listed in storage.list(names.RAW):
        source, day, *_ = listed.name.removeprefix(names.RAW).split("/")
        if not names.is_upload(listed.name):
            yield source, "back-fill only" if day == names.ONCE else f"received {day}"
        elif (mark := read_mark(storage, listed.name)) is not None:
            yield mark.source or "unread", f"received {mark.received_at[:10]}"


def _bus(bus: "Bus") -> str:
    """What waits, which Pub/Sub does not tell, and what was given up."""
    from skyblend.cli.drain import is_elsewhere
    from skyblend.runtime.bus.sqlite import local

    dead = len(bus.dead_letters())
    hint = ": `skyblend dead-letters list` tells why" if dead else ""
    waiting = "Pub/Sub" if is_elsewhere(bus) else f"{local(bus).pending()} messages"
    return f"{waiting}, {dead} given up{hint}"


def _count(storage: "Storage", prefix: str) -> int:
    return sum(1 for _ in storage.list(prefix))


def _models(storage: "Storage") -> str:
    from skyblend.runtime import names
    from skyblend.runtime.storage import Absent

    try:
        champions = json.loads(storage.read(names.CHAMPION).data)["champions"]
    except Absent:
        return "none yet"
    return ", ".join(f"{key} trained {one['trained_at']}" for key, one in champions.items())


def _issued(storage: "Storage") -> str:
    from skyblend.protos.v1.api_pb2 import Issued
    from skyblend.runtime import names

    found = [
        Issued.FromString(storage.read(listed.name).data).issued_at.ToDatetime(UTC)
        for listed in storage.list(names.ISSUED)
    ]
    return f"{len(found)} places, newest {max(found):{_MINUTE}}" if found else "nothing yet"


def _ledger(storage: "Storage") -> str:
    from skyblend.predict.serve.ledger import find_head, verify

    report = verify(storage, last=_SEGMENTS)
    if not report.segments:
        return "empty"
    if not report.is_sound:
        return f"BROKEN: {report.problems[0]}; `skyblend ledger verify` shows all"
    head, segment = find_head(storage)
    at = segment.issued_at.ToDatetime(UTC) if segment else None
    return f"segment {head.number} of {at:{_MINUTE}}, the last {report.segments} verified"
