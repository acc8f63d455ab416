# ruff: noqa: E501 (tables of cases)
import io
import json
import math
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.contract import (
    BadPayload,
    Forecasts,
    Observations,
    Payload,
    Refusal,
    UnknownField,
)
from skyblend.sources.open_meteo import HOURLY, MODELS, open_meteo, weight

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


def test_a_live_answer_is_issued_at_the_hour_of_receipt_and_known_at_receipt():
    instants, sums = decode(answer())
    assert str(instants.issued_at) == "2026-11-20T10:00:00.000000"
    assert str(instants.known_at) == "2026-11-20T10:20:00.000000"
    assert (instants.source, instants.place_id) == ("open_meteo", "berlin")
    assert instants.model.names == ("a_seamless", "ecmwf_ifs025")
    # Hours 0 to 9 are over: 38 of 48 hours are left, of each model.
    assert np.bincount(instants.model.codes).tolist() == [38, 38]
    assert instants.values["temperature_2m"][[0, 38]].tolist() == [10.0, 10.5]
    assert (sums.model, sums.period, len(sums.valid_at)) == ("ecmwf_ifs025", 3600, 38)
    assert (instants.latitude, instants.elevation) == (52.52, 38.0)


def test_a_day_ends_at_its_next_midnight_and_one_that_is_over_is_left_out():
    daily = {
        "time": ["2026-11-19", "2026-11-20", "2026-11-21"],
        "temperature_2m_max": [1.0, 2.0, None],
    }
    body = answer(daily=daily, daily_units={"time": "iso8601", "temperature_2m_max": "°C"})
    del body["hourly"], body["hourly_units"]
    (batch,) = decode(body, url="")
    assert batch.valid_at.astype(str).tolist() == ["2026-11-21T00:00:00.000000"]
    assert (batch.period, batch.values["temperature_2m_max"].tolist()) == (86400, [2.0])


def test_null_is_missing_and_a_row_of_nulls_is_no_record():
    body = answer()
    body["hourly"]["temperature_2m_a_seamless"] = [None] * 48
    body["hourly"]["temperature_2m_ecmwf_ifs025"][20] = None
    instants, _ = decode(body)
    assert instants.model == "ecmwf_ifs025"
    assert len(instants.valid_at) == 37
    assert not np.isnan(instants.values["temperature_2m"]).any()


@pytest.mark.parametrize(
    ("path", "new", "where", "expected", "got"),
    [
        ("hourly_units.temperature_2m_ecmwf_ifs025", "K", "$.hourly_units.temperature_2m_ecmwf_ifs025", "°C", "'K'"),
        ("hourly_units.precipitation_ecmwf_ifs025", "inch", "$.hourly_units.precipitation_ecmwf_ifs025", "mm", "'inch'"),
        ("hourly_units.precipitation_ecmwf_ifs025", None, "$.hourly_units.precipitation_ecmwf_ifs025", "mm", "null"),
        ("hourly.temperature_2m_a_seamless", [1.0] * 47, "$.hourly.temperature_2m_a_seamless", "48 values", "47"),
        ("hourly.temperature_2m_a_seamless", ["1.0"] + [1.0] * 47, "$.hourly.temperature_2m_a_seamless[0]", "a number or null", "'1.0'"),
        ("hourly.temperature_2m_a_seamless", [1.0, True] + [1.0] * 46, "$.hourly.temperature_2m_a_seamless[1]", "a number or null", "true"),
        ("hourly.temperature_2m_a_seamless", [1.0, [1.0]] + [1.0] * 46, "$.hourly.temperature_2m_a_seamless[1]", "a number or null", "an array of 1"),
        ("hourly.temperature_2m_a_seamless", {"0": 1.0}, "$.hourly.temperature_2m_a_seamless", "an array", "an object"),
        ("hourly.time", None, "$.hourly.time", "an array", "null"),
        ("hourly.time", [*hours(47), "2026-11-20T00:00"], "$.hourly.time[47]", "a time after 2026-11-21T22:00", "2026-11-20T00:00"),
        ("hourly.time", [*hours(47), "yesterday"], "$.hourly.time", "iso8601 times", "not all of the form YYYY-MM-DDTHH:MM"),
        ("hourly.time", [*hours(47), "2026-11-31T00:00"], "$.hourly.time", "iso8601 times", "Day out of range"),
        ("hourly.time", [*hours(47), 7], "$.hourly.time[47]", "iso8601 time", "7"),
        ("hourly_units.time", "hours", "$.hourly_units.time", "iso8601 or unixtime", "'hours'"),
        ("timezone", "Mars/Olympus", "$.timezone", "an IANA time zone", "'Mars/Olympus'"),
        ("timezone", "../../etc/passwd", "$.timezone", "an IANA time zone", "'../../etc/passwd'"),
        ("utc_offset_seconds", 3600, "$.utc_offset_seconds", "0 in GMT", "3600"),
        ("latitude", 91.0, "$.latitude", "a number from -90 to 90", "91.0"),
        ("latitude", None, "$.latitude", "a number", "null"),
        ("latitude", 48.1, "$", "a grid cell near 52.52,13.41", "48.10,13.42"),
        ("hourly_units", None, "$.hourly_units", "an object", "null"),
        ("hourly", [], "$.hourly", "an object", "an array of 0"),
    ],
)  # fmt: skip
def test_a_changed_answer_is_refused_with_where_expected_and_got(path, new, where, expected, got):
    body = answer()
    *parents, key = path.split(".")
    target = body
    for parent in parents:
        target = target[parent]
    target[key] = new
    bad = refusal(body)
    assert (bad.source, bad.where, bad.expected) == ("open_meteo", where, expected)
    assert got in bad.got


@pytest.mark.parametrize(
    ("body", "known", "where", "got"),
    [
        (b"<!DOCTYPE html><p>try later", {}, "line 1 column 1", "<!DOCTYPE html>"),
        (b"", {}, "line 1 column 1", "empty"),
        (b'{"hourly":{"temperature_2m":[1.0,\nnan]}}', {}, "line 2 column 1", "nan"),
        (b'{"latitude":', {}, "line 1 column 13", "unexpected end"),
        (b"\xff\xfe{", {}, "line 1 column 1", "UTF-8"),
        (b'{"error":true,"reason":"Hourly API request limit exceeded."}', {}, "$.error", "limit exceeded"),
        (b'{"error":true,"reason":"no"}', {"status": 429}, "status", "429"),
        (b"upstream", {"status": 503}, "status", "503 upstream"),
        (b"[]", {"places": ()}, "$", "empty array"),
        (b"7", {}, "$", "7"),
        (b"{}", {"places": ()}, "$.latitude", "null"),
        (b'{"latitude":1,"longitude":2}', {"places": ()}, "$", "only latitude, longitude"),
        (json.dumps([answer()] * 2).encode(), {}, "$", "2"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(body, known, where, got):
    bad = refusal(body, **known)
    assert bad.where == where
    assert got in bad.got


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content_has_no_records(status):
    assert decode(b"", status=status) == []


def test_one_bad_place_of_a_list_is_refused_and_the_others_go_on():
    other = answer(latitude=59.9, longitude=10.75, location_id=1)
    other["hourly"] = other["hourly"] | {"temperature_2m_a_seamless": [1.0]}
    items = decode([answer(), other], places=(BERLIN, OSLO))
    (bad,) = [item for item in items if isinstance(item, Refusal)]
    assert (bad.where, bad.expected) == ("$[1].hourly.temperature_2m_a_seamless", "48 values")
    assert {item.place_id for item in items if isinstance(item, Forecasts)} == {"berlin"}


def test_places_in_another_order_are_refused():
    swapped = [answer(latitude=59.9, longitude=10.75), answer()]
    assert "a grid cell near" in refusal(swapped, places=(BERLIN, OSLO)).expected
    bad = refusal([answer(location_id=1), answer(location_id=0)], places=(BERLIN, BERLIN))
    assert bad.where == "$[1].location_id"


def test_an_unknown_field_is_noted_and_the_rest_is_read():
    body = answer(surprise=1)
    body["hourly"] |= {"cloud_cover_low": [1] * 48, "soil": "wet"}
    items = decode(body)
    noted = {item.where for item in items if isinstance(item, UnknownField)}
    assert noted == {"$.surprise", "$.hourly.cloud_cover_low", "$.hourly.soil"}
    assert sum(isinstance(item, Forecasts) for item in items) == 2


def test_epochs_are_true_utc_also_with_a_zone():
    body = answer(
        {"time": [1795172400, 1795176000], "temperature_2m": [1.0, 2.0]},
        timezone="Europe/Berlin",
        utc_offset_seconds=3600,
    )
    body["hourly_units"]["time"] = "unixtime"
    # 1795172400 = 20777 days and 39600 s: 2026-11-20T11:00Z.
    (batch,) = decode(body, url="")
    assert batch.valid_at.astype(str).tolist()[0] == "2026-11-20T11:00:00.000000"


def test_the_hour_that_the_clock_shows_twice():
    times = ["2026-10-25T01:00", "2026-10-25T02:00", "2026-10-25T02:00", "2026-10-25T03:00"]
    received = datetime(2026, 10, 24, 12, tzinfo=UTC)
    zone = {"timezone": "Europe/Berlin", "utc_offset_seconds": 7200}
    body = answer({"time": times, "temperature_2m": [1.0, 2.0, 3.0, 4.0]}, **zone)
    (batch,) = decode(body, url="", received_at=received)
    assert [text[5:16] for text in batch.valid_at.astype(str)] == [
        "10-24T23:00", "10-25T00:00", "10-25T01:00", "10-25T02:00",
    ]  # fmt: skip
    once = answer({"time": times[1:2] + times[3:], "temperature_2m": [2.0, 4.0]}, **zone)
    bad, batch = decode(once, url="", received_at=received)
    assert (bad.where, bad.got) == ("$.hourly.time[0]", "2026-10-25T02:00")
    assert batch.values["temperature_2m"].tolist() == [4.0]


def test_the_hour_that_the_clock_skips_is_refused():
    times = ["2026-03-29T01:00", "2026-03-29T02:00", "2026-03-29T03:00"]
    body = answer({"time": times, "temperature_2m": [1.0, 2.0, 3.0]}, timezone="Europe/Berlin")
    bad, batch = decode(body, url="", received_at=datetime(2026, 3, 28, tzinfo=UTC))
    assert bad.where == "$.hourly.time[1]"
    assert [text[5:16] for text in batch.valid_at.astype(str)] == ["03-29T00:00", "03-29T01:00"]


def test_a_local_day_of_summer_time_has_its_own_length():
    daily = {"time": ["2026-10-25", "2026-10-26"], "temperature_2m_max": [9.0, 8.0]}
    body = answer(
        daily=daily,
        daily_units={"time": "iso8601", "temperature_2m_max": "°C"},
        timezone="Europe/Berlin",
    )
    del body["hourly"], body["hourly_units"]
    (batch,) = decode(body, url="", received_at=datetime(2026, 10, 24, tzinfo=UTC))
    assert batch.period.tolist() == [90_000, 86_400]
    assert [text[5:16] for text in batch.valid_at.astype(str)] == ["10-25T23:00", "10-26T23:00"]


def previous(first: str, count: int, received: datetime = RECEIVED) -> list[Any]:
    columns = {
        "time": hours(count, first),
        "temperature_2m": [99.0] * count,
        "temperature_2m_previous_day0_ecmwf_ifs025": [98.0] * count,
        "temperature_2m_previous_day2_ecmwf_ifs025": [float(n % 24) for n in range(count)],
    }
    return decode(answer(columns), endpoint="previous_runs", url="", received_at=received)


def test_previous_runs_leave_out_the_newest_and_add_the_extremes_of_complete_days():
    instants, extremes = previous("2026-11-17T00:00", 30)
    assert instants.model == "ecmwf_ifs025"
    assert instants.values["temperature_2m"].max() == 23.0
    assert (instants.valid_at - instants.issued_at == np.timedelta64(48, "h")).all()
    # Of 30 hours only the 17th is a complete day; its extremes end at 00Z of the 18th.
    assert extremes.valid_at.astype(str).tolist() == ["2026-11-18T00:00:00.000000"]
    assert extremes.issued_at.astype(str).tolist() == ["2026-11-16T00:00:00.000000"]
    assert extremes.known_at.astype(str).tolist() == ["2026-11-16T06:00:00.000000"]
    assert extremes.values["temperature_2m_max"].tolist() == [23.0]
    assert extremes.values["temperature_2m_min"].tolist() == [0.0]
    assert extremes.period == 86400


def test_previous_runs_are_never_issued_after_receipt_nor_known_later():
    instants, *_ = previous("2026-11-22T00:00", 24)
    # Received 20 November 10:20: issued two days before, so valid until the 22nd, 10:00.
    assert len(instants.valid_at) == 11
    assert instants.known_at.max() == np.datetime64("2026-11-20T10:20")


def test_previous_runs_without_their_keys_are_refused():
    bad = refusal(answer(), endpoint="previous_runs")
    assert bad.expected == "keys with _previous_day1 to _previous_day7"


def test_the_archive_gives_what_is_over_as_analysis():
    body = answer({"time": hours(24), "temperature_2m": [float(n) for n in range(24)]})
    url = "https://archive-api.open-meteo.com/v1/archive?models=best_match"
    (live,) = decode(body, url=url, endpoint="archive")
    assert isinstance(live, Observations)
    assert (live.kind, len(live.observed_at)) == ("analysis", 11)  # 00 to 10
    assert live.known_at == np.datetime64("2026-11-20T10:20")
    (late,) = decode(body, url=url, endpoint="archive_backfill")
    # Six hours after the observation, and never after receipt: 06:00 ... 10:20.
    assert str(late.known_at[0])[:16] == "2026-11-20T06:00"
    assert str(late.known_at[-1])[:16] == "2026-11-20T10:20"


def test_a_body_that_ended_days_ago_is_an_archives():
    body = answer({"time": hours(24, "2026-11-10T00:00"), "temperature_2m": [1.0] * 24})
    assert isinstance(decode(body, url="")[0], Observations)
    assert decode(body, endpoint="forecast", url="") == []


def test_a_single_run_is_issued_at_its_run():
    body = answer({"time": hours(3), "temperature_2m": [1.0, 2.0, 3.0]})
    host = "https://single-runs-api.open-meteo.com/v1/forecast"
    (batch,) = decode(body, url=f"{host}?run=2026-11-20T00:00")
    assert str(batch.issued_at)[:16] == "2026-11-20T00:00"
    assert str(batch.known_at)[:16] == "2026-11-20T06:00"
    assert refusal(body, url=host).expected == "run=YYYY-MM-DDTHH:MM"


def test_requests_ask_explicitly_and_are_the_same_for_the_same_slot():
    slot = datetime(2026, 11, 20, 10, tzinfo=UTC)
    many = [BERLIN, OSLO, Place(id="nowhere")] * 30  # 60 places with a position
    requests = list(open_meteo.requests("forecast", many, slot=slot, options={}))
    assert requests == list(open_meteo.requests("forecast", many, slot=slot, options={}))
    assert [len(request.places) for request in requests] == [50, 10]
    one = requests[0]
    assert one.url == "https://api.open-meteo.com/v1/forecast"
    assert one.params["hourly"] == ",".join(HOURLY)
    assert one.params["models"] == ",".join(MODELS)
    assert (one.params["timezone"], one.params["wind_speed_unit"]) == ("GMT", "ms")
    assert (one.params["forecast_days"], one.params["latitude"][:15]) == ("10", "52.5200,59.9100")
    # 18 variables of 6 models are 10.8 calls a place.
    assert one.weight == pytest.approx(50 * 10.8)


def test_options_give_the_key_the_models_and_the_address():
    options = {"apikey": "hidden", "models": "icon_eu", "forecast_url": "http://127.0.0.1:9/v1/f"}
    slot = datetime(2026, 11, 20, 10, tzinfo=UTC)
    (request,) = open_meteo.requests("forecast", [BERLIN], slot=slot, options=options)
    assert (request.url, request.params["models"]) == ("http://127.0.0.1:9/v1/f", "icon_eu")
    assert request.params["apikey"] == "hidden"
    assert request.secrets == {"apikey"}
    assert request.params["elevation"] == "38"


def test_back_fill_asks_each_place_once():
    slot = datetime(2026, 11, 20, 10, tzinfo=UTC)
    options = {"backfill_days": "30"}
    one, two = open_meteo.requests("previous_runs", [BERLIN, OSLO], slot=slot, options=options)
    assert [place.id for place in two.places] == ["oslo"]
    assert (one.params["past_days"], one.params["forecast_days"]) == ("30", "1")
    assert one.params["hourly"].startswith(
        "temperature_2m_previous_day1,temperature_2m_previous_day2"
    )
    # 7 variables of 6 models over 31 days: 4.2 * 31 / 14.
    assert one.weight == pytest.approx(9.3)
    (archive,) = open_meteo.requests("archive_backfill", [OSLO], slot=slot, options=options)
    assert (archive.params["start_date"], archive.params["end_date"]) == (
        "2026-10-21",
        "2026-11-20",
    )
    assert archive.params["models"] == "best_match"
    assert "visibility" not in archive.params["hourly"]
    with pytest.raises(ValueError, match="backfill_days must be 1 to 92, got 'many'"):
        list(
            open_meteo.requests(
                "previous_runs", [OSLO], slot=slot, options={"backfill_days": "many"}
            )
        )


def test_weight_of_a_small_request_is_one_call_a_place():
    assert weight(3, {"hourly": "temperature_2m"}, 7) == 3.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_an_answer_is_read_or_refused(data):
    body = answer(
        daily={"time": ["2026-11-20"], "temperature_2m_max": [1.0]},
        daily_units={"time": "iso8601", "temperature_2m_max": "°C"},
    )
    target: Any = body
    for _ in range(data.draw(st.integers(0, 2))):
        nested = [value for value in target.values() if isinstance(value, dict)]
        target = data.draw(st.sampled_from(nested)) if nested else target
    key = data.draw(st.sampled_from(sorted(target)))
    if isinstance(target[key], list) and data.draw(st.booleans()):
        target[key][data.draw(st.integers(0, len(target[key]) - 1))] = data.draw(JSON)
    else:
        target[key] = data.draw(JSON)
    url = data.draw(st.sampled_from(["", URL, "https://x/archive?", "http://[::bad"]))
    endpoint = data.draw(st.sampled_from(["", "forecast", "previous_runs", "archive_backfill"]))
    try:
        items = decode(body, url=url, endpoint=endpoint)
    except BadPayload:
        return
    for item in items:
        if isinstance(item, Forecasts):
            assert all(
                math.isfinite(x)
                for column in item.values.values()
                for x in column
                if not math.isnan(x)
            )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(data):
    body = bytearray(json.dumps(answer()).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body) - 1))
        body[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=12))
    try:
        decode(bytes(body))
    except BadPayload:
        return
