"""Answers of Open-Meteo for tests, made up as the provider forms them."""

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.contract import (
    BadPayload,
    Payload,
)
from skyblend.sources.open_meteo import open_meteo

RECEIVED = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
BERLIN = Place(id="berlin", latitude=52.52, longitude=13.41, elevation=38)
OSLO = Place(id="oslo", latitude=59.91, longitude=10.75)


def hours(count: int, first: str = "2026-11-20T00:00") -> list[str]:
    start = datetime.fromisoformat(first)
    return [(start + timedelta(hours=n)).isoformat()[:16] for n in range(count)]


def answer(hourly: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """An answer for Berlin as it was asked: two models, 48 hours."""
    columns = hourly or {
        "time": hours(48),
        "temperature_2m_a_seamless": [float(n) for n in range(48)],
        "temperature_2m_ecmwf_ifs025": [n + 0.5 for n in range(48)],
        "precipitation_ecmwf_ifs025": [0.1] * 48,
    }
    units = {"temperature": "°C", "precipitati": "mm", "wind_speed_": "m/s", "time": "iso8601"}
    body = {
        "latitude": 52.52,
        "longitude": 13.419998,
        "generationtime_ms": 0.1,
        "utc_offset_seconds": 0,
        "timezone": "GMT",
        "timezone_abbreviation": "GMT",
        "elevation": 38.0,
        "hourly_units": {key: units.get(key[:11], "%") for key in columns},
        "hourly": columns,
    }
    return body | changes


URL = "https://api.open-meteo.com/v1/forecast?" + urlencode(
    {"models": "a_seamless,ecmwf_ifs025", "wind_speed_unit": "ms", "timezone": "GMT"}
)


def decode(body: object, **known: Any) -> list[Any]:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    facts = {"received_at": RECEIVED, "url": URL, "places": (BERLIN,)} | known
    return list(open_meteo.decode(Payload(body=io.BytesIO(raw), **facts)))


def refusal(body: object, **known: Any) -> BadPayload:
    with pytest.raises(BadPayload) as caught:
        decode(body, **known)
    return caught.value
