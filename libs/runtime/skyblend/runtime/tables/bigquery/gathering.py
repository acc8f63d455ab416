"""From notes to the entries of a manifest, and what is kept and cleared of each."""

import json
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import TypeVar

from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Changed, Storage
from skyblend.runtime.tables import Loaded
from skyblend.runtime.tables.bigquery import notes
from skyblend.runtime.tables.bigquery.contents import Contents, Unreadable, contents
from skyblend.runtime.tables.bigquery.manifest import BYTES, Entry, Manifest
from skyblend.runtime.tables.bigquery.notes import Note
from skyblend.runtime.tables.bigquery.schema import Kind

LOG = logging.getLogger(__name__)
_One = TypeVar("_One")
_Given = TypeVar("_Given")
_AT_ONCE = 8  # objects that are looked at beside each other


@dataclass(frozen=True, slots=True)
class _Examined:
    """A pending object as an entry and its size, or why it is refused."""

    entry: Entry | None
    size: int = 0
    refusal: str = ""


def gather(storage: Storage, kind: Kind, *, uris: int) -> tuple[list[Entry], Loaded]:
    """What is noted of a table, as far as one load job may take it, and what is left. What is
    refused stays noted."""
    noted = list(notes.notes(storage, kind.prefix))
    examined = _beside(partial(_examine, storage, kind), noted[:uris])
    refused = tuple(one.refusal for one in examined if one.refusal)
    for refusal in refused:
        LOG.error("not loaded: %s", refusal)
    sizes = accumulate(one.size for one in examined)
    fitting = [one for one, so_far in zip(examined, sizes, strict=True) if so_far < BYTES]
    entries = [one.entry for one in fitting if one.entry]
    return entries, Loaded(left=len(noted) - len(entries) - len(refused), refused=refused)


def keep(storage: Storage, manifest: Manifest) -> None:
    """Write down where rows will be, beside where they were."""
    _beside(partial(_keep, storage), manifest.loaded)


def is_current(storage: Storage, manifest: Manifest) -> bool:
    """Whether what was loaded is what was looked at: a load job cannot name a generation, and rows
    of another one may lie in days that are not written down."""
    found = _beside(storage.generation, (one.record for one in manifest.loaded))
    return found == [one.generation for one in manifest.loaded]


def clear(storage: Storage, manifest: Manifest) -> None:
    """Clear the notes of what was carried out, and forget where rows were that are taken out."""
    _beside(partial(_clear, storage), manifest.entries)


def _examine(storage: Storage, kind: Kind, note: Note) -> _Examined:
    before, before_generation = _before(storage, note.record)
    generation = 0 if note.removed else storage.generation(note.record)
    now, size = None, 0
    if generation:
        try:
            now, size = contents(storage, note.record, kind)
        except Absent:  # deleted since, and its rows go
            generation = 0
        except Unreadable as error:
            return _Examined(None, refusal=str(error))
    entry = Entry(
        record=note.record,
        generation=generation,
        note=note.generation,
        now=now,
        before=before,
        before_generation=before_generation,
    )
    return _Examined(entry, size)


def _before(storage: Storage, record: str) -> tuple[Contents | None, int]:
    try:
        stored = storage.read(names.loaded(record))
    except Absent:
        return None, 0
    return Contents.read(json.loads(stored.data)), stored.generation


def _keep(storage: Storage, entry: Entry) -> None:
    """Somebody who did that already, or knows more, is not overwritten."""
    if entry.now is None or entry.now.joined(entry.before) == entry.before:
        return
    written = json.dumps(entry.now.joined(entry.before).written()).encode()
    try:
        storage.write(names.loaded(entry.record), written, if_generation=entry.before_generation)
    except Changed:
        return


def _clear(storage: Storage, entry: Entry) -> None:
    notes.clear(storage, entry.record, entry.note)
    if not entry.generation and entry.before_generation:
        try:
            storage.delete(names.loaded(entry.record), if_generation=entry.before_generation)
        except Changed:
            return


def _beside(do: Callable[[_One], _Given], ones: Iterable[_One]) -> list[_Given]:
    """The results of `do` for each, in order, some of them at a time."""
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        return list(threads.map(do, ones))
