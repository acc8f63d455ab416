"""Bad input ends in quarantine with its reason, and the good rest goes on."""

import json

import pytest
from skyblend.preprocess import quarantine
from skyblend.runtime import names
from skyblend.runtime.tables import Query, View

ALL = Query(view=View.VERSIONS)
HEADER = "source,place_id,latitude,longitude,elevation,issued_at,valid_at,temperature_2m\n"
GOOD = "s,oslo,59.9,10.7,10,2026-11-20T00:00Z,2026-11-20T01:00Z,1.5\n"
MUNICH = ("munich", 48.13, 11.58)


def entry_of(runtime):
    (entry,) = quarantine.entries(runtime.storage)
    assert all(entry[name] for name in ("id", "where", "expected", "got", "received_at", "raw"))
    return entry


def rows(runtime):
    return runtime.tables.forecasts(ALL).num_rows


def test_a_good_tidy_file_is_good(runtime, take_in):
    done = take_in((HEADER + GOOD).encode())
    assert (done.source, done.forecasts, done.quarantined) == ("tidy", 1, 0)


@pytest.mark.parametrize(
    ("header", "word"),
    [
        (HEADER.replace(",valid_at", ""), "valid_at"),
        (HEADER.replace("elevation", "latitude"), "latitude"),
        (HEADER.replace("temperature_2m", "temperature"), "temperature"),
    ],
)
def test_a_tidy_file_with_missing_repeated_or_unknown_columns_is_refused_by_name(
    runtime, take_in, header, word
):
    done = take_in((header + GOOD).encode(), source="tidy")
    entry = entry_of(runtime)
    assert (done.forecasts, rows(runtime)) == (0, 0)
    assert word in entry["where"] + entry["expected"] + entry["got"]


@pytest.mark.parametrize(
    "bad",
    [
        "s,oslo,59.9,10.7,10,2026-11-20T00:00,2026-11-20T02:00Z,1.5\n",  # no zone
        "s,oslo,59.9,10.7,10,2026-11-20T00:00Z,2026-11-20T02:00Z,warm\n",
        "s,oslo,59.9,10.7,10,2026-11-20T00:00Z,2026-11-20T01:00Z,9.5\n",  # the key of the good row
        "s,../x,59.9,10.7,10,2026-11-20T00:00Z,2026-11-20T02:00Z,1.5\n",
        "s,a/b,59.9,10.7,10,2026-11-20T00:00Z,2026-11-20T02:00Z,1.5\n",
        f"s,{'x' * 300},59.9,10.7,10,2026-11-20T00:00Z,2026-11-20T02:00Z,1.5\n",
        "s,oslo,99.9,10.7,10,2026-11-20T00:00Z,2026-11-20T02:00Z,1.5\n",
        "s,oslo,59.9,10.7,10,2026-11-21T00:00Z,2026-11-21T02:00Z,1.5\n",  # issued tomorrow
        "s,oslo,59.9,10.7,10,2026-11-20T00:00Z,2026-11-20T02:00Z,inf\n",
    ],
)
def test_a_bad_row_is_refused_and_the_good_ones_stay(runtime, take_in, bad):
    done = take_in((HEADER + GOOD + bad).encode())
    entry_of(runtime)
    assert (done.forecasts, done.quarantined, rows(runtime)) == (1, 1, 1)


def test_a_wrong_encoding_is_refused(runtime, take_in):
    done = take_in((HEADER + GOOD.replace("oslo", "Tromsø")).encode("latin-1"), source="tidy")
    entry_of(runtime)
    assert done.quarantined == 1
    assert rows(runtime) == 0


def test_fahrenheit_in_a_column_of_degrees_celsius_is_flagged(runtime, take_in):
    take_in((HEADER + GOOD.replace("1.5", "88.0")).encode())
    (row,) = runtime.tables.forecasts(ALL).to_pylist()
    assert row["flags"][0]["reason"] == "expected -95 to 60, got 88"


def changed(body, **changes):
    return json.dumps(json.loads(body) | changes).encode()


def test_answers_that_are_not_what_the_contract_says_are_refused(runtime, collected, open_meteo):
    answer, body = open_meteo
    good = body([4.5])
    unequal = changed(
        body([4.5, 5.5]), hourly={"time": ["2026-11-20T10:00"], "temperature_2m": [1, 2]}
    )
    units = changed(good, hourly_units={"time": "iso8601", "temperature_2m": "furlong"})
    bad = [b"<html>busy</html>", good.replace(b"4.5", b"nan"), unequal, units, good[:-20], b""]
    done = collected(*(answer(one, [MUNICH]) for one in bad), answer(good, [MUNICH]))
    found = list(quarantine.entries(runtime.storage))
    assert (done.members, done.forecasts, done.quarantined) == (7, 1, 6)
    assert [entry["member"] for entry in found] == [f"answer {n}" for n in range(6)]
    assert all(entry["where"] and entry["expected"] and entry["got"] for entry in found)


def test_an_unknown_extra_field_is_accepted_and_counted(runtime, collected, open_meteo):
    answer, body = open_meteo
    done = collected(answer(body([4.5], moon="full"), [MUNICH]))
    assert (done.forecasts, done.quarantined, done.unknown_fields) == (1, 0, {"$.moon": 1})


def test_a_bad_member_leaves_nothing_behind(runtime, take_in):
    take_in((HEADER + GOOD).encode()[:-1] + b"\xff\n", source="tidy")
    assert not list(runtime.storage.list(names.FORECASTS))
    assert rows(runtime) == 0
