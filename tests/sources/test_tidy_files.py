"""Tidy files as a whole: headers, encodings, Parquet, memory and damage."""

import io
import tracemalloc
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.sources.contract import BadPayload, Forecasts, Observations, Payload
from skyblend.sources.tidy import tidy
from tidy_cases import FORECASTS, OBSERVATIONS, RECEIVED, column, decode, refusals


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
