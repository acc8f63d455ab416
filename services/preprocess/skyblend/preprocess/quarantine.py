"""What was refused, entry by entry, and its replay with today's decoder."""

from collections.abc import Iterator, Sequence

import orjson
from skyblend.preprocess.entries import Entry
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage


class NoEntry(LookupError):
    """There is no quarantine entry of that id."""


def write(storage: Storage, raw: str, found: Sequence[Entry]) -> None:
    """The entries of a raw object in place of those that it had; no object where nothing is
    refused."""
    name = names.quarantine(raw)
    if found:
        storage.write(name, orjson.dumps({"raw": raw, "entries": found}))
    elif storage.generation(name):
        storage.delete(name)


def entries(storage: Storage) -> Iterator[Entry]:
    """All entries, each with the `raw` object that it is of, in order of the objects' names."""
    for listed in storage.list(names.QUARANTINE):
        try:
            stored = orjson.loads(storage.read(listed.name).data)
        except Absent:  # replayed since it was listed
            continue
        for entry in stored["entries"]:
            yield {**entry, "raw": stored["raw"]}


def show(storage: Storage, entry_id: str) -> Entry:
    """One entry; raises NoEntry."""
    for entry in entries(storage):
        if entry["id"] == entry_id:
            return entry
    raise NoEntry(f"there is no quarantine entry {entry_id!r}")
