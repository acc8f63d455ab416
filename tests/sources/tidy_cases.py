"""Tidy files for tests, and how they are read."""

import io
from datetime import UTC, datetime
from typing import Any

from skyblend.sources.contract import Labels, Payload, Refusal
from skyblend.sources.tidy import tidy

RECEIVED = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)

FORECASTS = """\
source,place_id,latitude,longitude,elevation,issued_at,valid_at,temperature_2m,precipitation,temperature_2m_max
GFS,4300,47.6,-122.3,,2004-01-01T00:00:00Z,2004-01-03T00:00:00Z,1.5,0.2,
ETA,4300,47.6,-122.3,12,2004-01-01T00:00Z,2004-01-03T00:00:00+00:00,2.5,,9.0
"""
OBSERVATIONS = """\
place_id,latitude,longitude,elevation,observed_at,temperature_2m
4300,47.6,-122.3,12,2004-01-03T00:00:00Z,1.5
4301,47.7,-122.4,13,2004-01-03T02:00:00+02:00,
4302,47.7,-122.4,13,2004-01-03T02:00:00+02:00,-3
"""


def decode(body: str | bytes) -> list[Any]:
    raw = body.encode() if isinstance(body, str) else body
    payload = Payload(body=io.BytesIO(raw), received_at=RECEIVED, upload=True, name="a.csv")
    return list(tidy.decode(payload))


def refusals(body: str | bytes) -> list[Refusal]:
    return [item for item in decode(body) if isinstance(item, Refusal)]


def column(text: Any, length: int) -> list[str]:
    return (
        [text.names[code] for code in text.codes] if isinstance(text, Labels) else [text] * length
    )
