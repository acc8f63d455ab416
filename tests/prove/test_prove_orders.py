"""Order and repetition: whatever the order, the repeats and the breaks, the end is one.

A small set of raw objects of every kind is processed in random orders. Steps are repeated, cut off
before or after one of their writes and taken up again, and record files are merged in between. At
the end the views, `latest/`, `places.json` and the quarantine are what they were the first time.
"""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import BinaryIO, cast

import numpy as np
import pyarrow as pa
import pytest
from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import FetchRecord, Place, RawAnswer, Upload
from skyblend.runtime import names, places, raw
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.storage.memory import MemoryStorage
from skyblend.runtime.tables import Query, View
from skyblend.runtime.tables.compact import compact
from skyblend.runtime.tables.duck import DuckTables
from skyblend.simulator.atmosphere import Atmosphere
from skyblend.simulator.open_meteo import answer
from skyblend.sources.open_meteo import open_meteo

Random = np.random.Generator
SEED = 1_854
NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
OPTIONS = {"models": "ecmwf_ifs025,dwd_icon_seamless", "backfill_days": "1"}
ATMOSPHERE = Atmosphere(7)
# Fewer values than a real task asks for: the statement does not depend on their number.
FEW = {
    "forecast": {
        "hourly": "temperature_2m,precipitation",
        "daily": "temperature_2m_max",
        "forecast_days": "2",
    },
    "archive": {"hourly": "temperature_2m", "daily": "temperature_2m_max"},
    "previous_runs": {"hourly": "temperature_2m_previous_day1,temperature_2m_previous_day2"},
}
VARIABLES = {  # those of the objects
    "forecasts": ("temperature_2m", "dew_point_2m", "precipitation", "temperature_2m_max"),
    "observations": ("temperature_2m", "dew_point_2m"),
}
PLACES = (
    Place(id="north", latitude=54.3, longitude=10.1, elevation=5, collect=True),
    Place(id="south", latitude=47.8, longitude=11.1, elevation=700, collect=True),
)


class Cut(Exception):
    """The process is gone at this moment."""


class Breakable(MemoryStorage):
    """A bucket that breaks off at the n-th write or deletion, before or after it is done."""

    def __init__(self) -> None:
        super().__init__()
        self.left = -1  # writes until the cut; below 0: none comes
        self.is_done_before = False

    def write(
        self, name: str, content: bytes | BinaryIO, *, if_generation: int | None = None
    ) -> int:
        with self._cut(name):
            return super().write(name, content, if_generation=if_generation)

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        with self._cut(name):
            super().delete(name, if_generation=if_generation)

    @contextmanager
    def _cut(self, name: str) -> Iterator[None]:
        self.left -= 1
        is_now = self.left == -1
        if is_now and not self.is_done_before:
            raise Cut(name)
        yield
        if is_now:
            raise Cut(name)


class Unread:
    """Tables that nobody reads while records are written."""

    reads_files = True  # so older rows are taken out of merged ones

    def forecasts(self, query: Query) -> pa.Table:
        return pa.table({})

    observations = forecasts

    def count_forecasts(self, query: Query) -> int:
        return 0

    count_observations = count_forecasts

    def load(self, object_name: str) -> None:
        """Nothing is held, so nothing is to be replaced."""

    unload = load


class Silent:
    """A bus whose events nobody waits for."""

    def publish(self, event: Message, *, trace: str) -> str:
        return ""


@dataclass(frozen=True)
class Process:
    """What processing needs of a runtime, in memory."""

    storage: Breakable
    settings: Settings = field(default_factory=Settings)
    tables: Unread = field(default_factory=Unread)
    bus: Silent = field(default_factory=Silent)


Objects = dict[str, bytes]


def fetched(endpoint: str, slot: datetime, asked: Sequence[Place], *, broken: int = -1) -> Objects:
    """The raw object of one task: the simulator's answers, of which one may be cut short."""
    answers = []
    for number, place in enumerate(asked):
        call = next(open_meteo.requests(endpoint, [place], slot=slot, options=OPTIONS))
        asked_for = dict(call.params) | FEW.get(endpoint, {})
        status, body = answer(ATMOSPHERE, endpoint, asked_for, now=slot)
        query = "&".join(f"{name}={value}" for name, value in asked_for.items())
        record = FetchRecord(
            source="open_meteo", endpoint=endpoint, url=f"{call.url}?{query}",
            places=[place], status=status,
        )  # fmt: skip
        record.received_at.FromDatetime(slot + timedelta(seconds=20 + number))
        answers.append(RawAnswer(fetch=record, body=body[: 900 if number == broken else None]))
    digest = hashlib.sha256(f"{endpoint}{slot}".encode()).hexdigest()
    once = None if endpoint == "previous_runs" else slot
    return {names.answers("open_meteo", endpoint, once, digest): raw.encode(answers)}


def uploaded(text: str, received: datetime) -> Objects:
    """The raw object of an uploaded file, and what ingest noted of it."""
    content = text.encode()
    sha256 = hashlib.sha256(content).hexdigest()
    meta = Upload(sha256=sha256, size=len(content), file_name=f"{sha256[:4]}.csv")
    meta.received_at.FromDatetime(received)
    name = names.upload(sha256)
    return {name: content, names.upload_meta(name): MessageToJson(meta).encode()}


def forecasts(known: int, values: dict[str, float], *, elevation: str = "510") -> str:
    """A run of the user's own model for two places, known `known` minutes after its issue."""
    issued = NOW - 3 * HOUR
    lines = [
        ",".join(
            (
                "own", place, "48.1", "11.6", elevation, f"{issued:%Y-%m-%dT%H:%M:%SZ}",
                f"{NOW.replace(minute=0) + lead * HOUR:%Y-%m-%dT%H:%M:%SZ}",
                f"{issued + timedelta(minutes=known):%Y-%m-%dT%H:%M:%SZ}",
                *(f"{value + lead:.1f}" for value in values.values()),
            )
        )
        for place in ("mine", "alsomine")
        for lead in range(1, 6)
    ]  # fmt: skip
    header = "source,place_id,latitude,longitude,elevation,issued_at,valid_at,known_at"
    return "\n".join([",".join([header, *values]), *lines, ""])


def observations(known: int, shift: float, *, spoilt: bool = False) -> str:
    """Observations of yesterday, known `known` minutes later; some lack a value or are wrong."""
    lines = []
    for hour in range(12):
        at = NOW.replace(minute=0) - timedelta(hours=30 - hour)
        values = [
            f"{hour + shift:.1f}" if hour % 3 else "",
            f"{hour / 2 + shift:.1f}" if hour % 4 else "",
        ]
        lines.append(
            f"mine,48.1,11.6,,{at:%Y-%m-%dT%H:%M:%SZ},"
            f"{at + timedelta(minutes=known):%Y-%m-%dT%H:%M:%SZ},{','.join(values)}"
        )
    if spoilt:
        lines += [
            "mine,48.1,11.6,,yesterday,,1.0,1.0",
            "mi/ne,48.1,11.6,,2026-11-19T00:00:00Z,,1.0,1.0",
        ]
    header = (
        "place_id,latitude,longitude,elevation,observed_at,known_at,temperature_2m,dew_point_2m"
    )
    return "\n".join([header, *lines, ""])


def raw_objects() -> dict[str, Objects]:
    """By raw object what has to lie in the bucket: live runs, one with a broken answer, analyses, a
    back-fill, and uploads that correct, complete and contradict each other."""
    later = [NOW + timedelta(minutes=10 * number) for number in range(8)]
    parts = [
        fetched("forecast", NOW.replace(minute=0), PLACES),
        fetched("forecast", NOW.replace(minute=0) + HOUR, PLACES),
        fetched("forecast", NOW.replace(minute=0) + 2 * HOUR, PLACES, broken=1),
        fetched("archive", NOW.replace(minute=0), PLACES),
        fetched("previous_runs", NOW.replace(minute=0), PLACES[:1]),
        uploaded(forecasts(30, {"temperature_2m": 1.0}), later[0]),
        uploaded(forecasts(30, {"temperature_2m": 2.0}, elevation=""), later[1]),
        uploaded(forecasts(30, {"dew_point_2m": 0.0}), later[2]),
        uploaded(forecasts(20, {"temperature_2m": 4.0}), later[3]),
        uploaded(observations(30, 0.0, spoilt=True), later[4]),
        uploaded(observations(300, 1.0), later[5]),
        uploaded(observations(400, 0.0), later[6]),
    ]
    return {next(iter(part)): part for part in parts}


def walk_through(objects: dict[str, Objects], rng: Random) -> Breakable:
    """Process all objects in a random order, some again, some cut off, some days merged."""
    storage = Breakable()
    places.add(storage, PLACES)
    order = list(rng.permutation(list(objects)))
    order += list(rng.choice(order, int(rng.integers(0, 5))))
    for number, name in enumerate(order):
        for stored, content in objects[name].items():
            storage.write(stored, content)
        force = number >= len(objects) or bool(rng.random() < 0.2)
        for left in [int(rng.integers(0, 8))] if rng.random() < 0.4 else []:
            storage.left, storage.is_done_before = left, bool(rng.random() < 0.5)
            with suppress(Cut):
                taken_in(storage, name, force=force)
            storage.left = -1
        taken_in(storage, name, force=force)
        if rng.random() < 0.1:
            compact(storage, NOW.date())
    return storage


def taken_in(storage: Breakable, name: str, *, force: bool) -> None:
    process(cast(Runtime, Process(storage)), RawStored(object=name), now=NOW, force=force)


class Reader:
    """The views on what lies in a bucket, by one database in a folder for record files."""

    def __init__(self, folder: Path) -> None:
        self._folder = FolderStorage(folder)
        self._tables = DuckTables(self._folder, memory="256MB", threads=1)
        self._buckets = 0

    def state(self, storage: Breakable) -> dict[str, object]:
        """All that readers see: objects by name as they are, views as their rows in order."""
        self._buckets += 1
        written = [*storage.list(names.FORECASTS), *storage.list(names.OBSERVATIONS)]
        here = [f"{one.name.removesuffix('.parquet')}-{self._buckets}.parquet" for one in written]
        for one, name in zip(written, here, strict=True):
            path = self._folder.path(name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(storage.read(one.name).data)
        seen = {**_objects(storage), **self._views()}
        for name in here:
            self._folder.path(name).unlink()
        return seen

    def _views(self) -> dict[str, object]:
        reads = {"forecasts": self._tables.forecasts, "observations": self._tables.observations}
        found: dict[str, object] = {}
        for (kind, read), view in product(reads.items(), View):
            table = read(Query(view=view, variables=VARIABLES[kind]))
            keys = [n for n in table.column_names if n != "flags"]
            rows = table.sort_by([(key, "ascending") for key in keys])
            sink = pa.BufferOutputStream()
            with pa.ipc.new_stream(sink, rows.schema) as writer:
                writer.write_table(rows.combine_chunks())
            found[f"{view} of {kind}"] = sink.getvalue().to_pybytes()
        return found


def _objects(storage: Breakable) -> dict[str, object]:
    return {
        listed.name: storage.read(listed.name).data
        for prefix in (names.LATEST, names.PLACES, names.QUARANTINE)
        for listed in storage.list(prefix)
    }


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    """In a folder in memory where the machine has one: the orders are many, and disks are slow."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as made:
        yield Reader(Path(made))


def test_order_repeats_and_breaks_change_nothing(proof, reader: Reader):
    objects = raw_objects()
    expected: dict[str, object] = {}
    with proof("orders, repeats and breaks of processing") as one:
        for number in range(one.size(2_000, share=200)):
            storage = walk_through(objects, np.random.default_rng((SEED, number)))
            seen = reader.state(storage)
            expected = expected or seen
            one.cases += 1
            wrong = {n for n in expected.keys() | seen if seen.get(n) != expected.get(n)}
            if wrong:
                one.failures.append(f"seed {number}: {', '.join(sorted(wrong))}")
        assert {name.split("/")[0] for name in expected} >= {"latest", "places.json", "quarantine"}
