"""Members become checked rows: decode, check, flag, drop repeats, and hand each block to the files
and to `latest`."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
from skyblend.preprocess import decoding
from skyblend.preprocess.archives import Lost
from skyblend.preprocess.blocks import Blocks
from skyblend.preprocess.checks import keep_good
from skyblend.preprocess.entries import Entries
from skyblend.preprocess.latest import LatestRuns, is_backfill
from skyblend.preprocess.members import Member, Origin
from skyblend.preprocess.records import RecordFiles
from skyblend.preprocess.repeats import without_repeats
from skyblend.preprocess.rows import Piece, Rows
from skyblend.preprocess.upload_places import UploadPlaces
from skyblend.runtime.storage import Storage
from skyblend.sources.contract import (
    BadPayload,
    Decoded,
    Forecasts,
    Observations,
    Refusal,
    UnknownField,
)
from skyblend.weather.quality import Flag, check_values


class FlagCounts:
    """How many values of a raw object are flagged, and for each variable and check how many and the
    first reason."""

    def __init__(self) -> None:
        self.values = 0
        self._counts: Counter[tuple[str, str]] = Counter()
        self._first: dict[tuple[str, str], str] = {}

    def take(self, flags: Sequence[Flag]) -> None:
        """Count the flags of a block of rows; a value that fails two checks is one value."""
        self.values += len({(flag.row, flag.variable) for flag in flags})
        for flag in flags:
            key = (flag.variable, flag.check)
            self._counts[key] += 1
            self._first.setdefault(key, flag.reason)

    def reasons(self) -> list[str]:
        """In words, the most frequent first."""
        return [
            f"{count} value{'s' if count > 1 else ''} of {key[0]}: {self._first[key]}"
            for key, count in sorted(self._counts.items(), key=lambda item: (-item[1], item[0]))
        ]


class Intake:
    """One raw object while it is decoded."""

    def __init__(self, storage: Storage, origin: Origin) -> None:
        self.files = RecordFiles()
        self.entries = Entries(origin)
        self.flags = FlagCounts()
        self.latest = LatestRuns(storage)
        self.places = UploadPlaces(origin.collect)
        self.members = 0
        self.sources: set[str] = set()
        self._origin = origin
        self._blocks = Blocks(self._check)

    def take(self, member: Member | Lost) -> None:
        """Decode one member: all its good rows are kept, or nothing and an entry."""
        self.members += 1
        if isinstance(member, Lost):
            self.entries.add(member.name, "", member.refusal)
            return
        try:
            source = decoding.source_of(member)
            self.sources.add(source.name)
            for item in decoding.items(source, member.payload):
                self._add(item, member, source.name)
        except BadPayload as bad:
            self.entries.add_payload(member.name, bad)

    def finish(self) -> None:
        """Check the rows that still wait."""
        self._blocks.finish()

    def _add(self, item: Decoded, member: Member, source: str) -> None:
        if isinstance(item, Refusal):
            self.entries.add(member.name, source, item)
        elif isinstance(item, UnknownField):
            self.entries.know(item.where)
        else:
            received = np.datetime64(member.payload.received_at.replace(tzinfo=None), "us")
            live = not is_backfill(self._origin.raw) and _reaches(item, received)
            self._blocks.add(Piece(item, member.raw, received, live))

    def _check(self, rows: Rows) -> None:
        """One block: contract, repeats, flags; then to the files and to what is newest."""
        rows = without_repeats(keep_good(rows, self.entries), self.entries)
        flags = check_values(rows.values)
        self.files.write(rows, flags)
        self.flags.take(flags)
        self.latest.take(rows, flags)
        if self._origin.is_upload:
            self.places.take(rows)


def _reaches(item: Forecasts | Observations, received: np.datetime64) -> bool:
    """Whether an item speaks of times that are still to come."""
    return isinstance(item, Forecasts) and bool((item.valid_at > received).any())


@contextmanager
def intake(storage: Storage, origin: Origin) -> Iterator[Intake]:
    """An Intake whose temporary files are gone afterwards."""
    taken = Intake(storage, origin)
    try:
        yield taken
    finally:
        taken.files.close()
