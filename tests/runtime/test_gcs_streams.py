"""Streams over objects that are fetched piece by piece, side by side with one in memory."""

import io
import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyblend.runtime.storage import StorageError
from skyblend.runtime.storage.gcs_streams import Onward, ranged, read_fully

CONTENT = bytes(range(256)) * 4
PIECE = 100


def opened(content: bytes = CONTENT, *, crc32c: str | None = None) -> io.BufferedReader:
    stream = ranged(
        "a", len(content), lambda start, end: content[start:end], piece=PIECE, crc32c=crc32c
    )
    assert isinstance(stream, io.BufferedReader)
    return stream


STEPS = st.one_of(
    st.tuples(st.just("read"), st.integers(-1, 1200)),
    st.tuples(st.just("seek"), st.integers(0, 1200)),
    st.tuples(st.just("peek"), st.just(0)),
)


@given(steps=st.lists(STEPS, max_size=12))
def test_any_reading_and_jumping_gives_what_memory_gives(steps: list[tuple[str, int]]) -> None:
    stream, memory = opened(), io.BytesIO(CONTENT)
    for what, number in steps:
        if what == "read":
            assert stream.read(number) == memory.read(number)
        elif what == "seek":
            assert stream.seek(number) == memory.seek(number)
        assert stream.tell() == memory.tell()


def test_the_end_is_found_from_the_end() -> None:
    stream = opened()
    assert stream.seek(-3, os.SEEK_END) == len(CONTENT) - 3
    assert stream.read() == CONTENT[-3:]
    with pytest.raises(ValueError, match="expected a place from 0 on"):
        stream.seek(-5000, os.SEEK_END)


def test_a_zip_file_is_read_through_it() -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", CONTENT)
        archive.writestr("b.csv", CONTENT[::-1])
    with zipfile.ZipFile(opened(packed.getvalue())) as archive:
        assert archive.read("b.csv") == CONTENT[::-1]


def test_fewer_bytes_than_asked_for_are_an_error() -> None:
    stream = ranged("a", 500, lambda start, _: CONTENT[start : start + 7], piece=PIECE, crc32c=None)
    with pytest.raises(StorageError, match="a: expected 100 bytes from 0, got 7"):
        stream.read()


def test_the_checksum_is_asked_at_the_end_of_a_whole_reading_only() -> None:
    with pytest.raises(StorageError, match="checksum"):
        opened(crc32c="AAAAAA==").read()
    jumped = opened(crc32c="AAAAAA==")
    jumped.seek(500)
    assert jumped.read() == CONTENT[500:]


class Slow(io.RawIOBase):
    """Gives at most 3 bytes at a time, as a socket may."""

    def __init__(self) -> None:
        super().__init__()
        self._left = io.BytesIO(CONTENT)

    def read(self, size: int = -1) -> bytes:
        return self._left.read(min(size, 3))


def test_a_stream_that_gives_little_at_a_time_is_read_fully() -> None:
    stream = Slow()
    head = read_fully(stream, 10)  # type: ignore[arg-type]
    assert head == CONTENT[:10]
    onward = Onward(head, stream)  # type: ignore[arg-type]
    assert (onward.tell(), onward.read(8), onward.read(4)) == (0, CONTENT[:8], CONTENT[8:12])
    assert onward.tell() == 12
    assert onward.read(5000) == CONTENT[12:]
    assert onward.read(1) == b""
