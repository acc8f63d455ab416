"""`skyblend status`: what is there, at a glance."""

import json
from datetime import UTC
from typing import TYPE_CHECKING

import click
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.runtime.bus.sqlite import SqliteBus
    from skyblend.runtime.place import Runtime
    from skyblend.runtime.storage import Storage


@click.command()
@pass_session
def status(session: Session) -> None:
    """Show what runs and what is there: places, raw objects, quarantine, models, forecasts."""
    found = session.pipeline()
    click.echo(
        f"running    {found.address}, {found.realm}, process {found.pid} since {found.started_at}"
        if found
        else "running    no: `skyblend up` starts it"
    )
    runtime = session.runtime()
    click.echo(f"folder     {runtime.settings.root}")
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
        "bus": _bus(runtime.bus),
        "quarantine": f"{refused} entries",
        "models": _models(storage),
        "issued": _issued(storage),
    }


def _bus(bus: "SqliteBus") -> str:
    dead = len(bus.dead_letters())
    hint = ": `skyblend dead-letters list` tells why" if dead else ""
    return f"{bus.pending()} messages, {dead} given up{hint}"


def _count(storage: "Storage", prefix: str) -> int:
    return sum(1 for _ in storage.list(prefix))


def _models(storage: "Storage") -> str:
    from skyblend.runtime import names
    from skyblend.runtime.storage import Absent

    try:
        champions = json.loads(storage.read(names.CHAMPION).data)["champions"]
    except Absent:
        return "none yet"
    return ", ".join(f"{key} of {one['trained_at']}" for key, one in champions.items())


def _issued(storage: "Storage") -> str:
    from skyblend.protos.v1.api_pb2 import Issued
    from skyblend.runtime import names

    found = [
        Issued.FromString(storage.read(listed.name).data).issued_at.ToDatetime(UTC)
        for listed in storage.list(names.ISSUED)
    ]
    return f"{len(found)} places, newest {max(found):%Y-%m-%dT%H:%MZ}" if found else "nothing yet"
