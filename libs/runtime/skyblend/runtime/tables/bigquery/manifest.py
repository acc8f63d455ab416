"""The load of a table that is under way: which record objects, in which attempt.

There is one manifest of a table at a time, an object in the bucket that is written with
preconditions. Whoever comes carries on with it, under the same job ids, until it is done or has
failed; so two loaders at once, or one after a crash, do one and the same thing, and an older
manifest is never carried out after a newer one.

One load job takes at most 10,000 URIs and 15 TB, so a manifest takes no more (BigQuery's limits of
a load job); what is left over waits for the next run. 96 runs a day, each with one load into a
staging table and one transaction, are far below the 1,500 modifications that a table may see in a
day, of which those by DML do not count.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Changed, Storage
from skyblend.runtime.tables.bigquery.contents import Contents

URIS = 10_000
BYTES = 15 * 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One record object: its generation (0: its rows are taken out), that of its note, what it
    holds, and what was loaded of it before, with the generation of the object that says so."""

    record: str
    generation: int
    note: int
    now: Contents | None = None
    before: Contents | None = None
    before_generation: int = 0

    def written(self) -> dict[str, Any]:
        return {
            "record": self.record,
            "generation": self.generation,
            "note": self.note,
            "now": self.now and self.now.written(),
            "before": self.before and self.before.written(),
            "before_generation": self.before_generation,
        }

    @classmethod
    def read(cls, given: Mapping[str, Any]) -> "Entry":
        held = {k: Contents.read(given[k]) if given[k] else None for k in ("now", "before")}
        return cls(**{**given, **held})


@dataclass(frozen=True, slots=True)
class Manifest:
    """Record objects that are loaded together; without entries it only keeps the number of the next
    attempt. `generation` is that of the object it stands in, 0 where there is none."""

    attempt: int = 0
    entries: tuple[Entry, ...] = ()
    generation: int = 0

    @property
    def digest(self) -> str:
        """What names its jobs: a hash of the names and generations."""
        lines = (f"{one.record} {one.generation} {one.note}" for one in self.entries)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:40]

    @property
    def loaded(self) -> tuple[Entry, ...]:
        return tuple(one for one in self.entries if one.generation)

    @property
    def replaced(self) -> tuple[Entry, ...]:
        """Those that have rows in the table which must go."""
        return tuple(one for one in self.entries if one.before)


def read(storage: Storage, table: str) -> Manifest:
    """The manifest that is under way; an empty one where there is none."""
    try:
        stored = storage.read(names.loading(table))
    except Absent:
        return Manifest()
    given = json.loads(stored.data)
    entries = tuple(Entry.read(entry) for entry in given["entries"])
    return Manifest(given["attempt"], entries, stored.generation)


def begin(
    storage: Storage, table: str, before: Manifest, entries: Sequence[Entry]
) -> Manifest | None:
    """Put a manifest of these entries under way; None where somebody else did in the meantime."""
    made = replace(before, entries=tuple(entries))
    return _write(storage, table, made)


def fail(storage: Storage, table: str, manifest: Manifest) -> None:
    """The attempt has failed: the next one takes what is noted then."""
    _write(storage, table, replace(manifest, attempt=manifest.attempt + 1, entries=()))


def finish(storage: Storage, table: str, manifest: Manifest) -> None:
    """The manifest is carried out. The object stays, so that its generation tells whoever looked at
    the notes before that there was one in between."""
    _write(storage, table, Manifest(generation=manifest.generation))


def _write(storage: Storage, table: str, manifest: Manifest) -> Manifest | None:
    written = {
        "attempt": manifest.attempt,
        "entries": [entry.written() for entry in manifest.entries],
    }
    try:
        generation = storage.write(
            names.loading(table), json.dumps(written).encode(), if_generation=manifest.generation
        )
    except Changed:
        return None
    return replace(manifest, generation=generation)
