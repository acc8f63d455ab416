"""The tables of records, behind one Protocol: every row that was ever decoded, and the views on
them.

Versions are a matter of reading: record files hold each row of their raw object, and the views put
the rows of one key in the order of known_at (then received_at), where a value equal to the one
before it adds nothing and a missing one erases none.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import pyarrow as pa


class View(StrEnum):
    """VERSIONS: one row for each version of each key. CURRENT: for each key and variable the last
    value."""

    VERSIONS = "versions"
    CURRENT = "current"


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """Which rows: empty tuples and None mean all. `as_of` leaves out what became known later;
    bounds of the valid (observed) time are inclusive below and exclusive above. Rows without a
    value of any of `variables` are left out.

    Of forecasts, `issue_hours` are hours of the day (UTC) in which a run was issued. `bare` is what
    learning needs: members of ensembles are left out, and the raw object and the position, which
    are most of a row's bytes, come as null."""

    variables: tuple[str, ...] = ()
    view: View = View.CURRENT
    as_of: datetime | None = None
    sources: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    periods: tuple[int, ...] = ()
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    raw: str = ""  # only rows of this raw object and its members
    issue_hours: tuple[int, ...] = ()
    bare: bool = False


class TablesError(Exception):
    """The tables cannot be read or loaded; the text says what was expected and what came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What one run of `load_pending` did: record objects whose rows were loaded or taken out, the
    rows loaded, those refused with the reason, and what is left for the next run."""

    objects: int = 0
    removed: int = 0
    rows: int = 0
    left: int = 0
    refused: tuple[str, ...] = ()

    def __add__(self, other: "Loaded") -> "Loaded":
        return Loaded(
            objects=self.objects + other.objects,
            removed=self.removed + other.removed,
            rows=self.rows + other.rows,
            left=self.left + other.left,
            refused=self.refused + other.refused,
        )


class Tables(Protocol):
    """Reads and takes in records. Columns are those of the messages Forecast and Observation
    (timestamps in us, UTC)."""

    def forecasts(self, query: Query) -> "pa.Table":
        """Rows of forecasts, with the columns of the key, known_at, received_at, position, raw,
        flags and the variables asked."""
        ...

    def observations(self, query: Query) -> "pa.Table":
        """Rows of observations, likewise, with `kind`."""
        ...

    def count_forecasts(self, query: Query) -> int:
        """How many rows `forecasts` would give."""
        ...

    def count_observations(self, query: Query) -> int:
        """How many rows `observations` would give."""
        ...

    def load(self, object_name: str) -> None:
        """Make the rows of a record object readable, in place of those that its raw objects had
        before."""
        ...

    def unload(self, object_name: str) -> None:
        """The opposite of `load`, before a record object is deleted."""
        ...

    def load_pending(self) -> Loaded:
        """Load what `load` and `unload` only noted; raises TablesError. May be called at any time,
        by several processes at once, and again after a crash."""
        ...

    @property
    def reads_files(self) -> bool:
        """Whether the record files are what is read: then a row is there as soon as its file is,
        and few large files are read faster than many small ones."""
        ...
