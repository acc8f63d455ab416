"""Answers in Open-Meteo's shape, for measuring: several models, a long run, rounded numbers."""

import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
import orjson
from google.protobuf.proto import serialize_length_prefixed
from skyblend.protos.v1.records_pb2 import FetchRecord, Place, RawAnswer

# Variable -> unit of the answer, mean, daily amplitude, noise, decimals.
VARIABLES = {
    "temperature_2m": ("°C", 14.0, 6.0, 0.3, 1),
    "dew_point_2m": ("°C", 4.0, 1.0, 0.3, 1),
    "relative_humidity_2m": ("%", 60.0, 20.0, 2.0, 0),
    "pressure_msl": ("hPa", 1013.0, 4.0, 0.3, 1),
    "surface_pressure": ("hPa", 960.0, 4.0, 0.3, 1),
    "wind_speed_10m": ("m/s", 4.0, 1.5, 0.3, 2),
    "wind_gusts_10m": ("m/s", 11.0, 2.0, 0.5, 1),
    "wind_direction_10m": ("°", 180.0, 60.0, 5.0, 0),
    "precipitation": ("mm", 0.0, 0.5, 0.2, 1),
    "precipitation_probability": ("%", 40.0, 20.0, 5.0, 0),
    "snowfall": ("cm", 0.0, 0.0, 0.1, 2),
    "cloud_cover": ("%", 50.0, 30.0, 5.0, 0),
    "visibility": ("m", 24_000.0, 6_000.0, 100.0, -1),
    "shortwave_radiation": ("W/m²", 200.0, 300.0, 5.0, 1),
    "weather_code": ("wmo code", 2.0, 1.0, 0.3, 0),
}
MODELS = (
    "ecmwf_ifs025",
    "ncep_gfs_seamless",
    "dwd_icon_seamless",
    "cmc_gem_seamless",
    "meteofrance_seamless",
    "ukmo_seamless",
)
HOURS = 384
RECEIVED = datetime(2026, 11, 20, 0, 10, tzinfo=UTC)
_URL = "https://api.open-meteo.com/v1/forecast?hourly={}&models={}&timezone=GMT&wind_speed_unit=ms"


def answers(count: int) -> Iterator[tuple[Place, bytes]]:
    """`count` answers, each of one place, six models, fifteen variables and 384 hours."""
    rng = np.random.default_rng(20261120)
    start = RECEIVED.replace(minute=0)
    times = [f"{start + timedelta(hours=hour):%Y-%m-%dT%H:%M}" for hour in range(HOURS)]
    for number in range(count):
        place = Place(id=f"place-{number}", latitude=40 + number % 1000 / 100, longitude=8.0)
        yield place, _body(place, times, rng)


def _body(place: Place, times: list[str], rng: np.random.Generator) -> bytes:
    hourly: dict[str, object] = {"time": times}
    units = {"time": "iso8601"}
    day = np.sin(np.arange(HOURS) * (2 * np.pi / 24))
    for name, (unit, mean, amplitude, noise, decimals) in VARIABLES.items():
        for model in MODELS:
            column = mean + amplitude * day + rng.normal(0, noise, HOURS)
            hourly[f"{name}_{model}"] = np.round(column.clip(0), decimals).tolist()
            units[f"{name}_{model}"] = unit
    return orjson.dumps(
        {
            "latitude": place.latitude,
            "longitude": place.longitude,
            "generationtime_ms": 1.2,
            "utc_offset_seconds": 0,
            "timezone": "GMT",
            "timezone_abbreviation": "GMT",
            "elevation": 300.0,
            "hourly_units": units,
            "hourly": hourly,
        }
    )


def raw_object(count: int) -> Iterator[bytes]:
    """The answers as ingest stores them, piece by piece."""
    for place, body in answers(count):
        fetch = FetchRecord(
            source="open_meteo",
            endpoint="forecast",
            url=_URL.format(",".join(VARIABLES), ",".join(MODELS)),
            places=[place],
            status=200,
            headers={"Content-Type": "application/json; charset=utf-8"},
        )
        fetch.received_at.FromDatetime(RECEIVED)
        yield _prefixed(RawAnswer(fetch=fetch, body=body))


def _prefixed(answer: RawAnswer) -> bytes:

    stream = io.BytesIO()
    serialize_length_prefixed(answer, stream)
    return stream.getvalue()
