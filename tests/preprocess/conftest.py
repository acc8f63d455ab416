"""A data folder of its own for each test, uploads and answers as ingest stores them."""

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.proto import serialize_length_prefixed
from skyblend.ingest import uploads
from skyblend.preprocess.mark import Processed
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import FetchRecord, Place, RawAnswer
from skyblend.runtime import names
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)


@pytest.fixture
def runtime(tmp_path):
    return runtime_for(Settings(data=tmp_path / "data"))


@pytest.fixture
def take_in(runtime) -> Callable[..., Processed]:
    """Stores an uploaded file and processes it."""

    def take(content: bytes, name="upload.csv", source="", now=NOW, **options) -> Processed:
        stored = uploads.store(
            runtime, io.BytesIO(content), file_name=name, source=source, now=now, **options
        )
        return process(runtime, RawStored(object=stored.object), now=now)

    return take


def answer(body: bytes, places, received_at=NOW, **fetched) -> RawAnswer:
    """An answer of Open-Meteo as ingest keeps it; `places` as (id, latitude, longitude)."""
    fetch = FetchRecord(
        source="open_meteo",
        endpoint="forecast",
        url="https://api.open-meteo.com/v1/forecast?hourly=temperature_2m&wind_speed_unit=ms",
        places=[Place(id=name, latitude=lat, longitude=lon) for name, lat, lon in places],
        status=200,
        headers={"Content-Type": "application/json"},
    )
    fetch.received_at.FromDatetime(received_at)
    fetch.MergeFrom(FetchRecord(**fetched))
    return RawAnswer(fetch=fetch, body=body)


def body(values, start="2026-11-20T10:00", hours=None, **changes) -> bytes:
    """One place's hourly temperatures from `start`, as Open-Meteo; `changes` replace parts."""
    first = datetime.fromisoformat(start)
    times = [
        f"{first + n * timedelta(hours=1):%Y-%m-%dT%H:%M}" for n in range(hours or len(values))
    ]
    whole = {
        "latitude": 48.1,
        "longitude": 11.6,
        "elevation": 520.0,
        "generationtime_ms": 0.1,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "timezone_abbreviation": "GMT",
        "hourly_units": {"time": "iso8601", "temperature_2m": "°C"},
        "hourly": {"time": times, "temperature_2m": values},
    }
    return json.dumps(whole | changes).encode()


@pytest.fixture
def collected(runtime) -> Callable[..., Processed]:
    """Stores answers as one task's raw object and processes it."""

    def collect(
        *answers: RawAnswer, slot=NOW, endpoint="forecast", number=0, **options
    ) -> Processed:
        stream = io.BytesIO()
        for one in answers:
            serialize_length_prefixed(one, stream)
        name = names.answers("open_meteo", endpoint, slot, f"{number:012x}")
        runtime.storage.write(name, stream.getvalue())
        return process(runtime, RawStored(object=name), now=NOW, **options)

    return collect


@pytest.fixture
def open_meteo():
    """The two builders of answers."""
    return answer, body
