"""Names of the objects in the bucket: one place that knows where everything lies."""

import hashlib
from datetime import date, datetime

from skyblend.protos.place_ids import from_object_part, is_object_part, object_part

PLACES = "places.json"
CHAMPION = "models/champion.json"
RAW, UPLOADS = "raw/", "raw/uploads/"
ARRIVALS = "uploads/"  # files that come into the bucket by themselves, until they are taken over
FORECASTS, OBSERVATIONS = "records/forecasts/", "records/observations/"
PROCESSED, QUARANTINE = "processed/", "quarantine/"
LATEST, ISSUED, LEDGER, MODELS = "latest/", "issued/", "ledger/", "models/"
RECORDS = "records/"
# What waits for BigQuery, which days its rows of a record object lie in, and the load under way.
PENDING, LOADED, LOADING = "state/pending/", "state/loaded/", "state/loading/"
ARRIVED = "state/arrived.json"  # what stood in ARRIVALS at the last look
ANNOUNCED, ONCE = "state/announced.json", "once"


def answers_of_slot(source: str, endpoint: str, slot: datetime | None) -> str:
    """What the names of a slot's raw objects begin with; slot None is a back-fill, asked once."""
    day, time = (f"{slot:%Y-%m-%d}", f"{slot:%Y%m%dT%H%M%SZ}") if slot else (ONCE, ONCE)
    return f"{RAW}{source}/{day}/{endpoint}-{time}-"


def answers(source: str, endpoint: str, slot: datetime | None, digest: str) -> str:
    """The raw object of one collect task; `digest` is of its requests without secrets."""
    return f"{answers_of_slot(source, endpoint, slot)}{digest[:12]}.pb"


def retry(source: str) -> str:
    """Until when a provider asked to be left alone."""
    return f"state/retry/{source}.json"


def backfilled(source: str, endpoint: str) -> str:
    """The places whose back-fill is known to be done."""
    return f"state/backfilled/{source}-{endpoint}.json"


def fan_out(source: str) -> str:
    """The tasks of a source that went over the bus a moment ago."""
    return f"state/fan_out/{source}.json"


def upload(sha256: str) -> str:
    """The raw object of an uploaded file; `<name>.meta.json` beside it tells the file name, source
    and time."""
    return f"{UPLOADS}{sha256}"


def is_upload(raw: str) -> bool:
    return raw.startswith(UPLOADS)


def upload_meta(raw: str) -> str:
    return f"upload_meta/{raw.removeprefix(UPLOADS)}.json"


def key(raw: str) -> str:
    """A short name for what is derived from a raw object: the last part of its name and a hash of
    the whole."""
    last = raw.rsplit("/", 1)[-1].split(".", 1)[0][:80]
    return f"{last}-{hashlib.sha256(raw.encode()).hexdigest()[:12]}"


def forecasts(raw: str, received: date) -> str:
    return f"{FORECASTS}{received.isoformat()}/{key(raw)}.parquet"


def observations(raw: str, received: date) -> str:
    return f"{OBSERVATIONS}{received.isoformat()}/{key(raw)}.parquet"


def pending(record: str) -> str:
    """The note that a record object waits to be loaded or taken out."""
    return f"{PENDING}{record.removeprefix(RECORDS)}.json"


def loaded(record: str) -> str:
    """What was loaded of a record object before."""
    return f"{LOADED}{record.removeprefix(RECORDS)}.json"


def loading(table: str) -> str:
    """The manifest of a table's load that is under way."""
    return f"{LOADING}{table}.json"


def processed(raw: str) -> str:
    """The mark that a raw object is processed, with its counts."""
    return f"{PROCESSED}{key(raw)}.json"


def processed_beside(raw: str) -> str:
    """What the mark of answers begins with, as do those of its endpoint's others of the day."""
    before_digest = raw.rsplit("/", 1)[-1].rpartition("-")[0]
    return f"{PROCESSED}{before_digest.partition('T')[0]}"


def quarantine(raw: str) -> str:
    """All quarantine entries of a raw object."""
    return f"{QUARANTINE}{key(raw)}.json"


def latest(raw: str, number: int = 0) -> str:
    """The part of `latest/` that the newest runs of a raw object go to. The next answers of the
    same collect task go there too; each upload has its own. What is too much for one write has a
    number."""
    more = f"_{number:03d}" if number else ""
    if is_upload(raw):
        return f"{LATEST}uploads/{key(raw)}{more}.pb"
    source, _, file = raw.removeprefix(RAW).partition("/")
    task, _, digest = file.rpartition("/")[2].removesuffix(".pb").rpartition("-")
    return f"{LATEST}{source}/{task.rpartition('-')[0]}-{digest}{more}.pb"


def latest_place(name: str) -> str | None:
    """The place of an object of `latest/` that an older version wrote for this place alone; None
    for a part."""
    part = name.removeprefix(LATEST).removesuffix(".pb")
    return from_object_part(part) if is_object_part(part) else None


def issued(place_id: str) -> str:
    return f"{ISSUED}{object_part(place_id)}.pb"


def ledger(number: int) -> str:
    return f"{LEDGER}{number:012d}.pb"


def model(model_id: str) -> str:
    return f"{MODELS}{model_id}/model.npz"


def card(model_id: str) -> str:
    return f"{MODELS}{model_id}/card.json"
