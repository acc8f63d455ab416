# ruff: noqa: E501 (tables of cases)
import io
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.sources.contract import BadPayload, Forecasts, Labels, Observations, Payload, Refusal
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
    assert refusals(changed(2, "2004-01-01T00:00:00Z", "2026-11-21T12:09Z", FORECASTS)) == []
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


@pytest.mark.parametrize(
    ("text", "got"),
    [
        (OBSERVATIONS.replace("elevation,", "", 1), "missing: elevation"),
        (FORECASTS.replace("issued_at,", "made,", 1), "missing: issued_at"),
        (OBSERVATIONS.replace("observed_at", "when"), "missing: source, issued_at, valid_at"),
        (OBSERVATIONS.replace("temperature_2m", "temperature_2m,temp_f"), "unknown: temp_f"),
        (OBSERVATIONS.replace("temperature_2m", "temperature_2m,latitude"), "repeated: latitude"),
        (OBSERVATIONS.replace(",temperature_2m", ""), "none"),
        (
            FORECASTS.replace("issued_at,", "issued_at,observed_at,", 1),
            "unknown: issued_at, valid_at",
        ),
    ],
)
def test_a_wrong_header_refuses_the_file_by_name(text, got):
    with pytest.raises(BadPayload) as caught:
        decode(text)
    assert caught.value.where == "the header"
    assert got in caught.value.got


@pytest.mark.parametrize(
    ("body", "where", "got"),
    [
        (b"", "line 1", "an empty line"),
        (OBSERVATIONS.encode().replace(b"4301", b"43\xe91"), "byte 112", "0xe9"),
        (OBSERVATIONS.encode("utf-16"), "byte 0", "0xff"),
        (OBSERVATIONS.encode() + b"43\xc3", None, "0xc3"),
        (OBSERVATIONS.encode() + b'"4303', "line 5", "unexpected end"),
        (OBSERVATIONS.encode() + b"x" * 3_000_000, None, "a longer one"),
        (b"PAR1 this is none", "the file", "Parquet"),
    ],
)
def test_a_file_that_cannot_be_read_is_refused(body, where, got):
    with pytest.raises(BadPayload) as caught:
        decode(body)
    assert where is None or caught.value.where == where
    assert got in caught.value.got


def test_a_byte_order_mark_and_windows_line_ends_are_accepted():
    body = b"\xef\xbb\xbf" + OBSERVATIONS.replace("\n", "\r\n").encode()
    (batch,) = decode(body)
    assert batch.values["temperature_2m"].tolist() == [1.5, -3.0]


def parquet(table: pa.Table) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def test_parquet_gives_the_same_records_as_csv():
    moment = datetime(2004, 1, 3, tzinfo=UTC)
    table = pa.table(
        {
            "place_id": pa.array(["4300", "4301", "4302"]).dictionary_encode(),
            "latitude": [47.6, 47.7, 47.7],
            "longitude": [-122.3, -122.4, -122.4],
            "elevation": pa.array([12, 13, 13], pa.int32()),
            "observed_at": pa.array([moment] * 3, pa.timestamp("ms", tz="Europe/Paris")),
            "temperature_2m": [1.5, None, -3.0],
            "flags": pa.array([None, [1], []], pa.list_(pa.int8())),
        }
    )
    (got,), (expected,) = decode(parquet(table)), decode(OBSERVATIONS)
    assert column(got.place_id, 2) == column(expected.place_id, 2)
    assert (got.observed_at == expected.observed_at).all()
    assert (got.values["temperature_2m"] == expected.values["temperature_2m"]).all()
    assert (got.elevation == expected.elevation).all()


def test_parquet_times_need_a_zone_and_rows_are_named():
    naive = pa.table(
        {
            "place_id": ["a"],
            "latitude": [1.0],
            "longitude": [1.0],
            "elevation": [1.0],
            "observed_at": pa.array([datetime(2004, 1, 3)], pa.timestamp("us")),  # noqa: DTZ001
            "temperature_2m": [1.0],
        }
    )
    with pytest.raises(BadPayload, match=r"column observed_at expected .* times with a zone"):
        decode(parquet(naive))
    text = naive.set_column(4, "observed_at", pa.array(["2004-01-03"]))
    assert refusals(parquet(text))[0].where == "row 1 column observed_at"
    cut = parquet(naive)[:-40]
    with pytest.raises(BadPayload, match="the file"):
        decode(cut)


def test_recognised_by_the_header():
    assert tidy.recognises("a.csv", OBSERVATIONS.encode()[:4096])
    assert tidy.recognises("a.csv", b"\xef\xbb\xbfplace_id,temp\n")
    assert tidy.recognises("a.parquet", b"PAR1\x15\x04")
    assert tidy.recognises("a.csv", OBSERVATIONS.encode("utf-16")[:4096])
    assert not tidy.recognises("a.csv", b"city,state\n")


def test_memory_is_that_of_a_chunk_and_not_of_the_file():
    head, first, *_ = OBSERVATIONS.splitlines(keepends=True)

    def peak(rows: int) -> int:
        body = io.BytesIO((head + first * rows).encode())
        tracemalloc.start()
        count = 0
        for item in tidy.decode(Payload(body=body, received_at=RECEIVED, upload=True)):
            count += len(item.observed_at)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert count == rows
        return most

    assert peak(66_000) < 1.1 * peak(33_000)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(data):
    body = bytearray(data.draw(st.sampled_from([FORECASTS, OBSERVATIONS])).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(body) - 1))
        body[start : start + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=8))
    try:
        items = decode(bytes(body))
    except BadPayload:
        return
    for item in items:
        if isinstance(item, (Forecasts, Observations)):
            assert all(np.isfinite(v[~np.isnan(v)]).all() for v in item.values.values())


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_damaged_parquet_is_read_or_refused(data):
    table = pa.table(
        {
            "place_id": ["a"],
            "latitude": [1.0],
            "longitude": [1.0],
            "elevation": [1.0],
            "observed_at": ["2004-01-03T00:00Z"],
            "temperature_2m": [1.0],
        }
    )
    body = bytearray(parquet(table))
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(4, len(body) - 1))
        body[start : start + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=8))
    try:
        decode(bytes(body))
    except BadPayload:
        return
