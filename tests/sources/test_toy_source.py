"""Adding a source is one object and one line: everything behind it works for it at once."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import orjson
import pytest
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tables import Query
from skyblend.sources.contract import (
    Attribution,
    BadPayload,
    Decoded,
    Observations,
    Payload,
)
from skyblend.sources.registry import SOURCES
from skyblend.sources.times import instant
from skyblend.sources.uploaded import Uploaded
from skyblend.weather.units import convert

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)


# What would be the new file.
def _reads(payload: Payload) -> Iterator[Decoded]:
    """A log of a lighthouse: its name, then a time and a temperature in Fahrenheit on each line."""
    title, *lines = payload.body.read().decode("ascii").splitlines()
    cells = [line.split() for line in lines]
    if wrong := [n for n, row in enumerate(cells, 2) if len(row) != 2]:
        where, got = f"line {wrong[0]}", lines[wrong[0] - 2]
        raise BadPayload("toy", where=where, expected="a time and a temperature", got=got)
    yield Observations(
        source="toy",
        place_id=title.removeprefix("LIGHTHOUSE "),
        observed_at=np.array([row[0] for row in cells], "datetime64[us]"),
        period=0,
        known_at=instant(payload.received_at),
        values={
            "temperature_2m": convert(np.array([float(row[1]) for row in cells]), "degF", "degC")
        },
    )


TOY = Uploaded(
    name="toy",
    attribution=Attribution(licence="none", text="Toy", url="", commercial=False),
    knows=lambda name, head: head.startswith(b"LIGHTHOUSE "),
    reads=_reads,
)


@pytest.fixture
def registered():
    """What would be the new line of the registry."""
    SOURCES["toy"] = TOY
    yield
    del SOURCES["toy"]


@pytest.fixture
def runtime(tmp_path):
    return runtime_for(Settings(data=tmp_path))


def taken_in(runtime, content):
    raw = names.upload("0" * 64)
    meta = {"file_name": "log.txt", "received_at": NOW.isoformat()}
    runtime.storage.write(raw, io.BytesIO(content))
    runtime.storage.write(names.upload_meta(raw), orjson.dumps(meta))
    return process(runtime, RawStored(object=raw), now=NOW)


@pytest.mark.usefixtures("registered")
def test_a_new_source_is_recognised_checked_and_stored(runtime):
    log = b"LIGHTHOUSE cape\n2026-11-20T09:00 32\n2026-11-20T10:00 50\n"
    done = taken_in(runtime, log)
    assert (done.source, done.observations, done.quarantined) == ("toy", 2, 0)
    table = runtime.tables.observations(Query(variables=("temperature_2m",)))
    assert sorted(table["temperature_2m"].to_pylist()) == [0.0, 10.0]
    assert set(table["place_id"].to_pylist()) == {"cape"}


@pytest.mark.usefixtures("registered")
def test_what_a_new_source_refuses_is_in_quarantine_with_its_words(runtime):
    done = taken_in(runtime, b"LIGHTHOUSE cape\n2026-11-20T09:00 32\nfog\n")
    assert (done.observations, done.quarantined) == (0, 1)
    (entry,) = orjson.loads(runtime.storage.read(names.quarantine(done.raw)).data)["entries"]
    found = {name: entry[name] for name in ("source", "where", "expected", "got")}
    expected = {"expected": "a time and a temperature", "got": "fog"}
    assert found == {"source": "toy", "where": "line 3", **expected}


def test_without_the_line_nobody_knows_it(runtime):
    done = taken_in(runtime, b"LIGHTHOUSE cape\n2026-11-20T09:00 32\n")
    assert (done.observations, done.quarantined) == (0, 1)
