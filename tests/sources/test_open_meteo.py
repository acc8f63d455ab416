# ruff: noqa: E501 (tables of cases)
"""Answers of Open-Meteo: what becomes a record, and what is refused with its reason."""

import json

import numpy as np
import pytest
from open_meteo_cases import BERLIN, OSLO, answer, decode, hours, refusal
from skyblend.sources.contract import (
    Forecasts,
    Refusal,
    UnknownField,
)


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
