"""Raw objects of collect tasks: what goes in comes out, packed, and of an older version as well."""

import io

import pytest
from google.protobuf.proto import serialize_length_prefixed
from hypothesis import given
from hypothesis import strategies as st
from skyblend.protos.v1.records_pb2 import FetchRecord, RawAnswer
from skyblend.runtime.raw import Damaged, answers, encode

ANSWERS = [
    RawAnswer(fetch=FetchRecord(source="x", status=200), body=b'{"hourly": [1.5, null]}' * 400),
    RawAnswer(fetch=FetchRecord(source="x", status=500), body=b""),
]


def read(content: bytes) -> list[RawAnswer]:
    return list(answers(io.BytesIO(content)))


def plain(given: list[RawAnswer]) -> bytes:
    stream = io.BytesIO()
    for answer in given:
        serialize_length_prefixed(answer, stream)
    return stream.getvalue()


@given(st.lists(st.builds(RawAnswer, body=st.binary(max_size=300)), max_size=5))
def test_what_goes_in_comes_out_also_of_an_older_version(
    given: list[RawAnswer],
) -> None:
    assert read(encode(given)) == given
    assert read(plain(given)) == given


def test_the_same_answers_are_the_same_bytes_and_fewer() -> None:
    assert encode(ANSWERS) == encode(ANSWERS)
    assert len(encode(ANSWERS)) < len(plain(ANSWERS)) / 8


def test_an_object_that_begins_with_the_length_31_is_not_taken_for_a_packed_one() -> None:
    answer = RawAnswer(body=b"x" * 29)
    assert plain([answer])[0] == 0x1F  # gzip's mark begins with this byte
    assert read(plain([answer])) == [answer]


@pytest.mark.parametrize("lost", [1, 9, 80])
def test_a_packed_object_that_is_cut_is_told(lost: int) -> None:
    with pytest.raises(Damaged):
        read(encode(ANSWERS)[:-lost])


def test_what_stands_before_a_cut_is_read() -> None:
    found = answers(io.BytesIO(plain(ANSWERS)[:-1]))
    assert next(found) == ANSWERS[0]
    with pytest.raises(Damaged):
        next(found)


def test_a_flipped_bit_never_changes_what_is_read() -> None:
    content = encode(ANSWERS)
    noticed = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 0x10
        try:
            assert read(bytes(damaged)) == ANSWERS  # a bit of padding, or the time in the header
        except Damaged:
            noticed += 1
    assert noticed > 0.8 * len(content)
