"""Columns of numbers out of JSON: what is no number is named, whatever stands beside it."""

import io
from datetime import UTC, datetime

import numpy as np
import pytest
from skyblend.sources.answers import Answers
from skyblend.sources.contract import BadPayload, Payload

read = Answers("toy")


def parsed(body: bytes):
    return read.json(Payload(body=io.BytesIO(body), received_at=datetime(2026, 11, 20, tzinfo=UTC)))


def columns(body: bytes, length: int):
    found = parsed(body)
    wheres = [f"$.{name}" for name in found.value]
    return read.columns(list(found.value.values()), wheres, length, plain=found.plain)


def test_numbers_and_nulls_are_columns():
    table = columns(b'{"a": [1, 2.5, null], "b": [-0.5, 18446744073709551615, 3]}', 3)
    assert np.array_equal(table, [[1, 2.5, np.nan], [-0.5, 2.0**64, 3]], equal_nan=True)


@pytest.mark.parametrize(
    ("wrong", "got"),
    [("true", "true"), ("false", "false"), ('"7"', "'7'"), ("[1]", "an array of 1")],
)
def test_what_is_no_number_is_named_by_its_place(wrong, got):
    body = f'{{"a": [1, 0, 2], "b": [1, {wrong}, 2]}}'.encode()
    with pytest.raises(BadPayload) as refused:
        columns(body, 3)
    bad = refused.value
    assert (bad.where, bad.expected, bad.got) == ("$.b[1]", "a number or null", got)


def test_a_column_of_another_length_is_refused():
    with pytest.raises(BadPayload, match=r"at \$.a expected 3 values, got 2"):
        columns(b'{"a": [1, 2]}', 3)


@pytest.mark.parametrize("blank", ["", " ", "\n", "\t", "\r\n  "])
def test_a_key_that_stands_twice_is_refused_whatever_stands_before_its_colon(blank):
    body = f'{{"a"{blank}: [1], "t": "x:y", "a"{blank}: [2]}}'.encode()
    with pytest.raises(BadPayload, match="each key once in its object"):
        parsed(body)


def test_texts_with_colons_and_quotation_marks_are_no_keys():
    assert parsed(b'{"a": "say \\"b\\": 1", "c" : ["10:00", "11:00" ]}').value["c"] == [
        "10:00",
        "11:00",
    ]
