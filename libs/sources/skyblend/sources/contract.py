"""What every source offers: how to ask, how to recognise an upload, and how to read an answer.

A source describes requests and never sends them; `decode` takes bytes and gives columns, with no
clock, no network and no file but a scratch one.

    BadPayload       the whole payload (one answer, or one member of an upload) is refused
    Refusal          one row of it is refused, the good rest goes on
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray
from skyblend.protos.v1.records_pb2 import Place


class BadPayload(Exception):
    """A payload that is not what its contract says; it goes to quarantine with these words."""

    def __init__(self, source: str, *, where: str, expected: str, got: str) -> None:
        super().__init__(f"{source}: at {where} expected {expected}, got {got}")
        self.source, self.where, self.expected, self.got = source, where, expected, got


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row that is refused.

    `where` is a JSON path or a line and column, `sample` a short piece of it.
    """

    where: str
    expected: str
    got: str
    sample: str = ""


@dataclass(frozen=True, slots=True)
class UnknownField:
    """A field that the contract does not know: accepted and counted."""

    where: str


@dataclass(frozen=True, slots=True)
class Labels:
    """A text column with few distinct values: row i holds `names[codes[i]]`."""

    names: tuple[str, ...]
    codes: NDArray[np.int32]


Text = str | Labels
Times = np.datetime64 | NDArray[np.datetime64]
Floats = float | NDArray[np.float64]
Periods = int | NDArray[np.int32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecasts:
    """Rows of forecasts as columns of equal length; a scalar stands for a column of equal values.

    Times are datetime64[us] in UTC; `period` in seconds; positions in degrees and m, NaN where
    unknown; `values` maps a canonical variable to float64 in its canonical unit, NaN where missing.
    A row whose values are all NaN is not a record.
    """

    source: Text
    model: Text = ""
    member: Text = ""
    place_id: Text
    issued_at: Times
    valid_at: NDArray[np.datetime64]
    period: Periods
    known_at: Times
    latitude: Floats = float("nan")
    longitude: Floats = float("nan")
    elevation: Floats = float("nan")
    values: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Observations:
    """Rows of observations as columns, as `Forecasts`; `kind` is station, analysis or user."""

    source: Text
    place_id: Text
    observed_at: NDArray[np.datetime64]
    period: Periods
    known_at: Times
    kind: Text = "station"
    latitude: Floats = float("nan")
    longitude: Floats = float("nan")
    elevation: Floats = float("nan")
    values: Mapping[str, NDArray[np.float64]]


Decoded = Forecasts | Observations | Refusal | UnknownField


@dataclass(frozen=True, slots=True, kw_only=True)
class Payload:
    """One answer, or one member of an upload, and what is known of how it came.

    Its bytes are seekable and at the start.
    """

    body: BinaryIO
    received_at: datetime
    name: str = ""  # file name of an upload's member
    # An upload's known_at is the file's, else issued_at plus the publication delay; a live answer's
    # is received_at.
    upload: bool = False
    endpoint: str = ""  # empty: recognised from the body
    url: str = ""  # as asked, secrets masked; empty: unknown
    places: Sequence[Place] = ()  # in the order of the request
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to a provider, for ingest to send; `secrets` names the parameters to mask."""

    endpoint: str
    url: str
    params: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    places: tuple[Place, ...] = ()
    secrets: frozenset[str] = frozenset()
    weight: float = 1.0  # calls of the provider's quota that it counts as


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When an endpoint is asked, for up to `batch` places a call; or once for each (back-fill)."""

    endpoint: str
    every: timedelta | None  # None: once for each place
    batch: int = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribution:
    """The terms of a provider's data."""

    licence: str
    text: str
    url: str
    commercial: bool


class Source(Protocol):
    """One provider.

    `schedules` is empty for one that is only uploaded; `recognises` is False for one that is only
    fetched.
    """

    @property
    def name(self) -> str: ...

    @property
    def publication_delay(self) -> timedelta: ...

    @property
    def attribution(self) -> Attribution: ...

    @property
    def schedules(self) -> tuple[Schedule, ...]: ...

    def requests(
        self, endpoint: str, places: Sequence[Place], *, slot: datetime, options: Mapping[str, str]
    ) -> Iterator[Request]:
        """The calls that ask `endpoint` for `places` in the slot that begins at `slot`.

        `options` are this source's settings (base URLs, key, models). The same arguments give the
        same requests.
        """
        ...

    def recognises(self, name: str, head: bytes) -> bool:
        """Whether an upload is of this source, by its name and first bytes (up to 4 KiB)."""
        ...

    def decode(self, payload: Payload) -> Iterator[Decoded]:
        """The records of a payload.

        Raises BadPayload, before or between the items; nothing of a payload that raises is kept.
        """
        ...
