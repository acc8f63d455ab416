import io
import json
from datetime import UTC, datetime, timedelta
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import urlopen

import numpy as np
import pytest
from skyblend.protos.v1.records_pb2 import Place
from skyblend.simulator.atmosphere import Atmosphere
from skyblend.simulator.models import FORECAST_MODELS
from skyblend.simulator.open_meteo import answer
from skyblend.simulator.query import ENDPOINTS
from skyblend.simulator.server import serve, simulator_settings
from skyblend.simulator.weather import VARIABLES
from skyblend.sources.contract import Forecasts, Observations, Payload
from skyblend.sources.open_meteo import open_meteo

NOW = datetime(2026, 11, 21, 10, 20, tzinfo=UTC)
MUNICH = {"latitude": "48.1", "longitude": "11.6"}


def ask(endpoint="forecast", **params):
    status, body = answer(Atmosphere(), endpoint, MUNICH | params, now=NOW)
    return status, json.loads(body)


def good(endpoint="forecast", **params):
    status, body = ask(endpoint, **params)
    assert status == 200, body
    return body


def test_one_model_has_no_suffix_and_one_place_is_an_object():
    body = good(hourly="temperature_2m,weather_code", daily="temperature_2m_max", forecast_days="2")
    assert list(body) == [
        "latitude", "longitude", "generationtime_ms", "utc_offset_seconds", "timezone",
        "timezone_abbreviation", "elevation", "hourly_units", "hourly", "daily_units", "daily",
    ]  # fmt: skip
    assert body["hourly_units"] == {
        "time": "iso8601",
        "temperature_2m": "°C",
        "weather_code": "wmo code",
    }
    assert body["hourly"]["time"][0] == "2026-11-21T00:00"
    assert body["hourly"]["time"][-1] == "2026-11-22T23:00"
    assert body["daily"]["time"] == ["2026-11-21", "2026-11-22"]
    assert {type(code) for code in body["hourly"]["weather_code"]} == {int}
    assert body["daily"]["temperature_2m_max"][1] == max(body["hourly"]["temperature_2m"][24:])


def test_several_models_have_suffixes_and_several_places_are_a_list():
    body = good(
        latitude="48.1,-33.9",
        longitude="11.6,151.2",
        elevation="520,20",
        hourly="temperature_2m",
        models="icon_seamless,meteoswiss_icon_seamless",
    )
    assert [place.get("location_id") for place in body] == [None, 1]
    assert [place["elevation"] for place in body] == [520.0, 20.0]
    assert set(body[1]["hourly"]) == {
        "time",
        "temperature_2m_icon_seamless",
        "temperature_2m_meteoswiss_icon_seamless",
    }


def test_the_shape_is_that_of_a_recorded_answer(payloads):
    recorded = json.loads((payloads / "open-meteo" / "previous_runs_2026-10.json").read_bytes())
    names = [name for name in recorded["hourly"] if name != "time"]
    body = good("previous_runs", hourly=",".join(names), past_days="1")
    assert body["hourly_units"] == recorded["hourly_units"]
    assert set(body["hourly"]) == set(recorded["hourly"])
    assert set(recorded) - set(body) == {"current", "current_units"}


def test_outside_a_models_horizon_stands_null():
    body = good(hourly="temperature_2m", models="icon_d2", forecast_days="4")
    column = body["hourly"]["temperature_2m"]
    # the run of 06:00 reaches 48 h ahead, to 23 November 06:00
    assert column[54] is not None
    assert set(column[55:]) == {None}


def test_a_previous_day_that_has_not_been_yet_is_null():
    body = good("previous_runs", hourly="temperature_2m_previous_day1", forecast_days="3")
    column = body["hourly"]["temperature_2m_previous_day1"]
    assert column[34] is not None  # 22 November 10:00, said on 21 November 10:00
    assert set(column[35:]) == {None}


def test_the_archive_ends_now_and_previous_days_come_ever_closer_to_it():
    days = {"start_date": "2026-10-20", "end_date": "2026-11-21"}
    archive = good("archive", hourly="temperature_2m", **days)["hourly"]["temperature_2m"]
    assert archive[-14] is not None  # 10:00
    assert set(archive[-13:]) == {None}  # 11:00 to 23:00
    names = [f"temperature_2m_previous_day{day}" for day in (1, 3, 5)]
    told = good("previous_runs", hourly=",".join(names), models="ecmwf_ifs025", **days)["hourly"]
    seen = np.array(archive[:-24], float)
    spread = [(np.array(told[name][:-24], float) - seen).std() for name in names]
    assert spread == sorted(spread)


def test_units_come_as_asked():
    body = good(
        hourly="temperature_2m,wind_speed_10m,snowfall",
        wind_speed_unit="ms",
        temperature_unit="fahrenheit",
        timeformat="unixtime",
    )
    celsius = good(hourly="temperature_2m,wind_speed_10m")
    assert body["hourly_units"]["wind_speed_10m"] == "m/s"
    assert celsius["hourly_units"]["wind_speed_10m"] == "km/h"
    assert body["hourly"]["time"][0] == 1795219200  # 2026-11-21T00:00Z
    first, same = body["hourly"], celsius["hourly"]
    assert first["temperature_2m"][0] == pytest.approx(
        same["temperature_2m"][0] * 1.8 + 32, abs=0.2
    )
    assert first["wind_speed_10m"][0] == pytest.approx(same["wind_speed_10m"][0] / 3.6, abs=0.01)


@pytest.mark.parametrize(
    ("endpoint", "params", "reason"),
    [
        ("forecast", {"latitude": "200"}, "Latitude must be in range of -90 to 90°. Given: 200.0."),
        ("forecast", {"latitude": "x"}, "Parameter 'latitude' must be a number"),
        ("forecast", {"latitude": "1,2"}, "same number of elements"),
        ("forecast", {"latitude": ""}, "same number of elements"),
        ("forecast", {"elevation": "1,2"}, "same number of elements"),
        ("forecast", {"elevation": "x"}, "must be a number"),
        ("forecast", {"hourly": "lksdfj"}, "invalid String value lksdfj"),
        ("forecast", {"hourly": "temperature_2m_previous_day1"}, "invalid String value"),
        ("forecast", {"daily": "temperature_2m"}, "invalid String value temperature_2m"),
        ("forecast", {"models": "tea_leaves"}, "invalid String value tea_leaves"),
        ("forecast", {"forecast_days": "17"}, "Allowed range 0 to 16. Given 17"),
        ("forecast", {"past_days": "93"}, "Allowed range 0 to 92"),
        ("forecast", {"start_date": "2020-01-01", "end_date": "2020-01-02"}, "out of allowed"),
        ("forecast", {"timezone": "Europe/Berlin"}, "timezone=GMT"),
        ("forecast", {"wind_speed_unit": "furlongs"}, "invalid String value furlongs"),
        ("forecast", {"current": "temperature_2m"}, "only hourly and daily"),
        ("archive", {}, "Invalid date format in 'start_date'"),
        ("archive", {"start_date": "2026-11-01", "end_date": "2026-11-30"}, "out of allowed range"),
        ("archive", {"start_date": "2026-11-02", "end_date": "2026-11-01"}, "End-date must be"),
        ("archive", {"start_date": "2026-11-02", "end_date": "2026-11-03", "models": "icon_eu"},
         "invalid String value icon_eu"),
    ],
)  # fmt: skip
def test_a_bad_request_is_refused_with_its_reason(endpoint, params, reason):
    status, body = ask(endpoint, **params)
    assert status == 400
    assert body["error"] is True
    assert reason in body["reason"]


def test_the_words_of_a_recorded_refusal(payloads):
    recorded = json.loads((payloads / "open-meteo" / "error_latitude_400.json").read_bytes())
    assert ask(latitude="200.0")[1] == recorded


PLACES = [
    Place(id="MUNICH", latitude=48.1371, longitude=11.5754, elevation=520),
    Place(id="FIJI", latitude=-17.7134, longitude=179.9999, elevation=3),
]


@pytest.mark.parametrize("plan", open_meteo.schedules, ids=lambda plan: plan.endpoint)
def test_the_source_reads_every_answer_without_a_refusal(plan):
    rows = []
    for request in open_meteo.requests(plan.endpoint, PLACES, slot=NOW, options={}):
        endpoint = "archive" if plan.endpoint.startswith("archive") else plan.endpoint
        assert endpoint in ENDPOINTS
        status, body = answer(Atmosphere(), endpoint, request.params, now=NOW)
        payload = Payload(
            body=io.BytesIO(body),
            received_at=NOW + timedelta(seconds=3),
            endpoint=plan.endpoint,
            url=f"{request.url}?{urlencode(request.params)}",
            places=request.places,
            status=status,
        )
        rows += list(open_meteo.decode(payload))
    assert rows
    kind = Observations if plan.endpoint.startswith("archive") else Forecasts
    assert {type(row) for row in rows} == {kind}
    read = {name for row in rows for name in row.values}
    assert {"temperature_2m", "temperature_2m_max"} <= read


def test_every_model_that_the_source_may_name_is_known():
    assert {
        "ecmwf_ifs025",
        "ncep_gfs_seamless",
        "dwd_icon_seamless",
        "best_match",
    } <= FORECAST_MODELS
    for model in FORECAST_MODELS:
        column = good(hourly=",".join(VARIABLES), models=model, forecast_days="1")["hourly"]
        assert None not in column["temperature_2m"]


@pytest.fixture(scope="module")
def simulator():
    running = serve(now=lambda: NOW)
    yield running
    running.stop()


def test_the_three_hosts_answer_over_http(simulator):
    settings = simulator.settings
    assert settings == simulator_settings(simulator.url)
    dates = {"start_date": "2026-11-01", "end_date": "2026-11-02"}
    for setting, params in (
        ("SKYBLEND_OPEN_METEO_FORECAST_URL", {"forecast_days": "1"}),
        ("SKYBLEND_OPEN_METEO_PREVIOUS_RUNS_URL", {"past_days": "1"}),
        ("SKYBLEND_OPEN_METEO_ARCHIVE_URL", dates),
    ):
        query = urlencode(MUNICH | params | {"hourly": "temperature_2m"})
        with urlopen(f"{settings[setting]}?{query}") as response:
            assert response.headers["Content-Type"] == "application/json; charset=utf-8"
            assert json.load(response)["hourly"]["temperature_2m"]


@pytest.mark.parametrize(
    ("path", "status"), [("/forecast/v1/forecast", 400), ("/v1/forecast", 404)]
)
def test_errors_keep_their_status_over_http(simulator, path, status):
    with pytest.raises(HTTPError) as refused:
        urlopen(f"{simulator.url}{path}?latitude=91&longitude=0")
    with refused.value as answered:
        assert answered.code == status
