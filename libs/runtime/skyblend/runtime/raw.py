"""Raw objects of collect tasks: answers one after the other, each behind its length, compressed as
a whole.

Answers are text and shrink to a third or less, and what is kept for ever is paid for ever. An
object of an older version is not compressed: its first byte is the length of an answer, and no
answer's second byte is that of gzip's mark.
"""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from typing import BinaryIO, cast

from google.protobuf.message import DecodeError
from google.protobuf.proto import parse_length_prefixed, serialize_length_prefixed
from skyblend.protos.v1.records_pb2 import RawAnswer

_GZIP = b"\x1f\x8b"
_LEVEL = 1  # 6 takes eight times the time for a fifth fewer bytes


class Damaged(ValueError):
    """A raw object that ends, or goes on, as none of ours does."""


def encode(answers: Iterable[RawAnswer]) -> bytes:
    """The bytes of a raw object; the same answers are the same bytes."""
    stream = io.BytesIO()
    for answer in answers:
        serialize_length_prefixed(answer, stream)
    return gzip.compress(stream.getvalue(), _LEVEL, mtime=0)


def answers(stream: BinaryIO) -> Iterator[RawAnswer]:
    """The answers of a raw object, whose bytes are seekable and at the start, in the order of the
    calls. Raises Damaged where the next one cannot be read."""
    packed = stream.read(len(_GZIP)) == _GZIP
    stream.seek(0)
    opened = gzip.GzipFile(fileobj=stream) if packed else stream
    buffered = cast(io.BytesIO, opened)  # any buffered stream will do
    try:
        while (answer := parse_length_prefixed(RawAnswer, buffered)) is not None:
            yield answer
    except (DecodeError, ValueError, OSError, EOFError, zlib.error) as error:
        raise Damaged(str(error) or type(error).__name__) from error
