"""What waits to be loaded, as objects in the bucket.

A note lies under a name made from its record object's: empty where the object is to be loaded, with
a word in it where its rows are to be taken out. A newer note is a newer generation of the same
name, so that a note is only ever cleared by whoever did what it says.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from skyblend.runtime import names
from skyblend.runtime.storage import Changed, Storage

_REMOVED = b"removed"


@dataclass(frozen=True, slots=True)
class Note:
    """A record object that waits, and the generation of the note."""

    record: str
    generation: int
    removed: bool


def note(storage: Storage, record: str, *, removed: bool) -> None:
    """Leave a note in place of an older one; after the object was written, and before it is
    deleted."""
    storage.write(names.pending(record), _REMOVED if removed else b"")


def notes(storage: Storage, prefix: str) -> Iterator[Note]:
    """The notes on record objects below `prefix`."""
    ending = len(".json")
    for listed in storage.list(names.pending(prefix).removesuffix(".json")):
        record = names.RECORDS + listed.name[len(names.PENDING) : -ending]
        yield Note(record, listed.generation, removed=listed.size > 0)


def clear(storage: Storage, record: str, generation: int) -> None:
    """Remove a note that was carried out; a newer one stays."""
    try:
        storage.delete(names.pending(record), if_generation=generation)
    except Changed:
        return
