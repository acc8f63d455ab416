"""Large objects of Cloud Storage as streams: read and sent piece by piece."""

import io
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, BinaryIO, cast

from skyblend.runtime.storage import StorageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

PIECE = 8 << 20  # bytes that are held; a multiple of 256 KiB, as Cloud Storage asks

Fetch = Callable[[int, int], bytes]


def ranged(name: str, size: int, fetch: Fetch, *, piece: int, crc32c: str | None) -> BinaryIO:
    """A seekable stream over `size` bytes; `fetch(start, end)` gives those before `end`, a piece at
    a time. Whoever reads it from start to end without a jump has it checked against `crc32c`."""
    return cast(
        BinaryIO, io.BufferedReader(_Ranged(name, size, fetch, piece=piece, crc32c=crc32c), piece)
    )


class _Ranged(io.RawIOBase):
    """Asks for the bytes that are read, at most a piece at a time."""

    def __init__(
        self, name: str, size: int, fetch: Fetch, *, piece: int, crc32c: str | None
    ) -> None:
        super().__init__()
        self._name, self._size, self._fetch, self._piece = name, size, fetch, piece
        self._position = self._checked = self._crc = 0
        self._expected = crc32c

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise ValueError(f"{self._name}: expected a place from 0 on, got {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: "WriteableBuffer") -> int:
        room = memoryview(buffer).cast("B")
        found = self._next(len(room))
        room[: len(found)] = found
        return len(found)

    def readall(self) -> bytes:
        """All that is left, by pieces; the inherited one asks for 8 KiB at a time."""
        return b"".join(iter(lambda: self._next(self._piece), b""))

    def _next(self, most: int) -> bytes:
        end = min(self._position + min(most, self._piece), self._size)
        if end <= self._position:
            return b""
        found = self._fetch(self._position, end)
        if len(found) != end - self._position:
            got = f"expected {end - self._position} bytes from {self._position}, got {len(found)}"
            raise StorageError(self._name, got)
        self._check(found)
        self._position = end
        return found

    def _check(self, found: bytes) -> None:
        """Carry the checksum on where nothing was left out."""
        if self._position != self._checked:
            return
        self._crc = _crc(found, self._crc)
        self._checked += len(found)
        if self._checked == self._size:
            check(self._name, self._crc, self._expected)


def check(name: str, crc: int, expected: str | None) -> None:
    """Raise StorageError where a CRC-32C is not the one that Cloud Storage tells, in base64."""
    import base64  # noqa: PLC0415 - beside its only use

    got = base64.b64encode(crc.to_bytes(4, "big")).decode()
    if expected is not None and got != expected:
        raise StorageError(name, f"expected bytes with the checksum {expected}, got {got}")


def crc_of(content: bytes) -> int:
    """The CRC-32C of some bytes."""
    return _crc(content, 0)


def _crc(content: bytes, before: int) -> int:
    import google_crc32c  # noqa: PLC0415 - only the cloud needs it

    return int(google_crc32c.extend(before, content))


def read_fully(stream: BinaryIO, most: int) -> bytes:
    """As many bytes as asked for, or all that are left; a stream may give fewer at a time."""
    pieces = []
    while most and (piece := stream.read(most)):
        pieces.append(piece)
        most -= len(piece)
    return b"".join(pieces)


class Onward(io.RawIOBase):
    """A stream from where it stands, with the bytes that were already taken from it in front. It
    counts from 0, which the client asks for, and is read once."""

    def __init__(self, taken: bytes, rest: BinaryIO) -> None:
        super().__init__()
        self._taken, self._rest, self._position = taken, rest, 0

    def readable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position

    def read(self, size: int = -1) -> bytes:
        if size < 0:
            raise io.UnsupportedOperation("read by pieces")
        first, self._taken = self._taken[:size], self._taken[size:]
        found = first + read_fully(self._rest, size - len(first)) if len(first) < size else first
        self._position += len(found)
        return found
