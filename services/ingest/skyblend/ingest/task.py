"""A collect task: calls whose answers become one raw object, named by what is asked."""

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.sources.contract import Request

ANY_SLOT = datetime(2000, 1, 1, tzinfo=UTC)  # names a back-fill, whatever days it asks for
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# Endpoint and slot (None: back-fill) -> ids of places whose task somebody else has in hand.
Underway = Mapping[tuple[str, datetime | None], Collection[str]]


@dataclass(frozen=True, slots=True)
class Task:
    """Calls whose answers are stored together; `slot` None is a back-fill, which has its `name`.
    `places` are those of whole batches, also where a source asks nothing for some of them."""

    endpoint: str
    slot: datetime | None
    calls: tuple[Request, ...]
    name: str
    places: tuple[Place, ...]


def cut(time: datetime, every: timedelta) -> datetime:
    """The beginning of the slot of length `every` that holds `time`; slots begin at 1970."""
    return time - (time - _EPOCH) % every


def digest(calls: Iterable[Request]) -> str:
    """A hash of what is asked for whom, without secrets and without the host that is asked."""
    asked = [[urlsplit(call.url).path, _params(call), _places(call.places)] for call in calls]
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()


def task_name(source: str, endpoint: str, slot: datetime | None, calls: Sequence[Request]) -> str:
    """The raw object that holds the answers of these calls."""
    return names.answers(source, endpoint, slot, digest(calls))


def _params(call: Request) -> list[tuple[str, str]]:
    return sorted((name, "" if name in call.secrets else v) for name, v in call.params.items())


def _places(places: Iterable[Place]) -> list[tuple[str, float, float]]:
    return [place_key(place) for place in places]


def place_key(place: Place) -> tuple[str, float, float]:
    """What tells places apart that are asked for: the id, and where it is."""
    return place.id, place.latitude, place.longitude
