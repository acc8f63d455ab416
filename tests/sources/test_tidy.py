# ruff: noqa: E501 (tables of cases)
"""Tidy files: what each row becomes, and what is refused by line and column."""

import numpy as np
import pytest
from skyblend.sources.contract import Observations, Refusal
from tidy_cases import FORECASTS, OBSERVATIONS, column, decode, refusals


def test_a_row_is_split_by_the_variables_own_periods():
    instants, hourly, daily = decode(FORECASTS)
    assert (instants.period, hourly.period, daily.period) == (0, 3600, 86400)
    assert column(instants.source, 2) == ["GFS", "ETA"]
    assert instants.values["temperature_2m"].tolist() == [1.5, 2.5]
    assert (hourly.source, hourly.values["precipitation"].tolist()) == ("GFS", [0.2])
    assert (daily.source, daily.values["temperature_2m_max"].tolist()) == ("ETA", [9.0])
    assert np.isnan(instants.elevation[0])
    assert instants.elevation[1] == 12.0
    assert (instants.valid_at == np.datetime64("2004-01-03T00:00")).all()
    assert (instants.known_at == instants.issued_at).all()
    assert (instants.model, instants.member) == ("", "")


def test_observations_default_to_stations_known_when_observed():
    (batch,) = decode(OBSERVATIONS)
    assert isinstance(batch, Observations)
    assert (batch.source, batch.kind, batch.period) == ("upload", "station", 0)
    # 4301 has no value and is no record; 02:00+02:00 is 00:00Z.
    assert column(batch.place_id, 2) == ["4300", "4302"]
    assert set(batch.observed_at.astype(str)) == {"2004-01-03T00:00:00.000000"}
    assert (batch.known_at == batch.observed_at).all()


def test_an_empty_text_is_the_default_and_one_name_with_it():
    text = (
        "source,kind,place_id,latitude,longitude,elevation,observed_at,temperature_2m\n"
        ",,a,1,2,3,2004-01-03T00:00Z,1\n"
        "upload,station,b,1,2,3,2004-01-03T00:00Z,1\n"
        "era,analysis,c,1,2,3,2004-01-03T00:00Z,1\n"
        "era,guess,d,1,2,3,2004-01-03T00:00Z,1\n"
    )
    batch, bad = decode(text)
    assert batch.source.names == ("upload", "era")
    assert column(batch.kind, 3) == ["station", "station", "analysis"]
    assert (bad.where, bad.expected) == ("line 5 column kind", "station or analysis or user")


def test_a_stated_period_holds_for_all_variables_of_a_row():
    text = (
        "source,place_id,latitude,longitude,elevation,issued_at,valid_at,period,known_at,temperature_2m_max,temperature_2m,flags\n"
        "nws_scs,BOSTON,,,,2021-01-01T00:50Z,2021-01-02T00:00Z,43200,2021-01-01T00:55Z,5,,range\n"
        "nws_scs,BOSTON,,,,2021-01-01T00:50Z,2021-01-02T00:00Z,0,,,4,\n"
        "nws_scs,BOSTON,,,,2021-01-01T00:50Z,2021-01-03T00:00Z,0,,6,,\n"
        "nws_scs,BOSTON,,,,2021-01-01T00:50Z,2021-01-03T00:00Z,3600,,,6,\n"
        "nws_scs,BOSTON,,,,2021-01-01T00:50Z,2021-01-03T00:00Z,1.5,,,6,\n"
    )
    batch, *refused = decode(text)
    assert batch.period.tolist() == [43200, 0]
    assert batch.known_at.astype(str).tolist()[0] == "2021-01-01T00:55:00.000000"
    assert np.isnan(batch.latitude).all()
    assert [(item.where, item.expected) for item in refused] == [
        ("line 6 column period", "whole seconds from 0 to 2678400"),
        ("line 4 column period", "more than 0 for temperature_2m_max"),
        ("line 5 column period", "0 for temperature_2m"),
    ]


def changed(line: int, old: str, new: str, text: str = OBSERVATIONS) -> str:
    lines = text.split("\n")
    assert old in lines[line - 1]
    lines[line - 1] = lines[line - 1].replace(old, new)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("old", "new", "where", "expected", "got"),
    [
        ("2004-01-03T00:00:00Z", "2004-01-03T00:00:00", "column observed_at", "with Z or an offset", "'2004-01-03T00:00:00'"),
        ("2004-01-03T00:00:00Z", "", "column observed_at", "a time", "nothing"),
        ("2004-01-03T00:00:00Z", "2004-02-30T00:00:00Z", "column observed_at", "with Z or an offset", "'2004-02-30T00:00:00Z'"),
        ("2004-01-03T00:00:00Z", "0001-01-01T00:00:00+14:00", "column observed_at", "with Z or an offset", "'0001-01-01T00:00:00+14:00'"),
        ("2004-01-03T00:00:00Z", "2026-11-21T12:01:00Z", "column observed_at", "not after", "'2026-11-21T12:01:00Z'"),
        (",1.5", ",warm", "column temperature_2m", "a finite number", "'warm'"),
        (",1.5", ",inf", "column temperature_2m", "a finite number", "'inf'"),
        (",1.5", ",nan", "column temperature_2m", "a finite number", "'nan'"),
        (",1.5", ",null", "column temperature_2m", "a finite number", "'null'"),
        (",1.5", ",true", "column temperature_2m", "a finite number", "'true'"),
        (",1.5", ",1e999", "column temperature_2m", "a finite number", "'1e999'"),
        (",1.5", ",1_000", "column temperature_2m", "a finite number", "'1_000'"),
        (",1.5", ',"1,5"', "column temperature_2m", "a finite number", "'1,5'"),
        ("47.6", "97.6", "column latitude", "-90 to 90", "'97.6'"),
        ("-122.3", "222.3", "column longitude", "-180 to 180", "'222.3'"),
        (",12,", ",-9999,", "column elevation", "-500 to 9000", "'-9999'"),
        ("4300", "../x", "column place_id", "without slash", "'../x'"),
        ("4300", "a/b", "column place_id", "without slash", "'a/b'"),
        ("4300", "a" * 300, "column place_id", "1 to 64 characters", "'aaa"),
        ("4300", "", "column place_id", "1 to 64 characters", "nothing"),
        (",1.5", "", "", "6 fields", "5 fields"),
        (",1.5", ",1.5,7", "", "6 fields", "7 fields"),
    ],
)  # fmt: skip
def test_a_wrong_row_is_refused_by_line_and_column_and_the_rest_goes_on(
    old, new, where, expected, got
):
    items = decode(changed(2, old, new))
    (bad,) = [item for item in items if isinstance(item, Refusal)]
    assert bad.where == f"line 2 {where}".rstrip()
    assert expected in bad.expected
    assert bad.got.startswith(got)
    (batch,) = [item for item in items if isinstance(item, Observations)]
    assert batch.place_id == "4302"


def test_a_forecast_issued_or_known_after_its_receipt_is_refused():
    late = changed(2, "2004-01-01T00:00:00Z", "2026-11-21T12:11Z", FORECASTS)
    assert refusals(late)[0].where == "line 2 column issued_at"
    coming = changed(2, "2004-01-03T00:00:00Z", "2026-11-23T00:00:00Z", FORECASTS)
    assert refusals(changed(2, "2004-01-01T00:00:00Z", "2026-11-21T12:09Z", coming)) == []
    known = (
        "source,place_id,latitude,longitude,elevation,issued_at,valid_at,known_at,temperature_2m\n"
        "a,b,1,2,3,2004-01-02T00:00Z,2004-01-03T00:00Z,2004-01-01T00:00Z,1\n"
        "a,b,1,2,3,2004-01-02T00:00Z,2004-01-03T00:00Z,2027-01-01T00:00Z,1\n"
        "a,b,1,2,3,2004-01-02T00:00Z,2004-01-03T00:00Z,2004-01-02T06:00Z,1\n"
    )
    batch, before, after = decode(known)
    assert (before.where, before.expected) == (
        "line 2 column known_at",
        "a time not before issued_at",
    )
    assert after.where == "line 3 column known_at"
    assert batch.known_at.astype(str).tolist() == ["2004-01-02T06:00:00.000000"]


@pytest.mark.parametrize(
    ("valid", "expected"),
    [
        ("2003-12-31T23:00:00Z", "a time not before issued_at"),
        ("9999-12-31T00:00:00Z", "a time from 1850-01-01 to 2151-01-01"),
    ],
)
def test_a_forecast_for_a_time_that_cannot_be_is_refused(valid, expected):
    (bad,) = refusals(changed(2, "2004-01-03T00:00:00Z", valid, FORECASTS))
    assert (bad.where, bad.expected) == ("line 2 column valid_at", expected)
    assert bad.got == repr(valid)


def test_duplicate_keys_with_other_values_are_refused_and_repeats_are_not():
    row = "4300,47.6,-122.3,12,2004-01-03T00:00:00Z,"
    (bad,) = refusals(f"{OBSERVATIONS}{row}1.50\n{row}1.6\n")
    assert (bad.where, bad.expected) == (
        "line 6 column place_id",
        "one row for each key and known_at",
    )


def test_duplicates_are_found_across_chunks():
    head, first, *_ = OBSERVATIONS.splitlines(keepends=True)
    filling = "".join(f"p{n},1,2,3,2004-01-03T00:00:00Z,{n % 9}\n" for n in range(40_000))
    (bad,) = refusals(head + first + filling + first.replace(",1.5", ",7"))
    assert bad.where == "line 40003 column place_id"
