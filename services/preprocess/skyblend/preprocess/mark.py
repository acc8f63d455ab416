"""The mark that a raw object is processed, with its counts: written last, read by `upload` and by a
repeat."""

from dataclasses import asdict, dataclass, field
from datetime import datetime

import orjson
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """What became of one raw object; forecasts and observations in rows. Of uploads it is counted
    how many of them are versions and how many change nothing."""

    raw: str
    file_name: str
    source: str
    members: int
    forecasts: int
    observations: int
    versions: int | None
    unchanged: int | None
    quarantined: int
    unknown_fields: dict[str, int]
    latest_places: list[str]
    received_at: str
    decoded_at: str
    flagged: int = 0  # values that failed a check of the payload; absent in older marks
    flag_reasons: list[str] = field(default_factory=list)  # one for each variable and check
    stated: str = ""  # what of the raw object was stated when it was decoded


def read_mark(storage: Storage, raw: str) -> Processed | None:
    """The mark of a raw object, None where it is not processed."""
    try:
        return Processed(**orjson.loads(storage.read(names.processed(raw)).data))
    except Absent:
        return None


def write_mark(storage: Storage, done: Processed) -> None:
    """Say that a raw object is processed."""
    storage.write(names.processed(done.raw), orjson.dumps(asdict(done)))


def written(time: datetime) -> str:
    """A UTC time as it stands in JSON."""
    return time.isoformat().replace("+00:00", "Z")
