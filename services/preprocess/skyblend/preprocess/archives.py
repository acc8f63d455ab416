"""What is inside an uploaded file: a plain file, or .gz, .tar, .tar.gz and .zip, told by their
first bytes.

A file inside an archive may itself be a .gz; an archive inside an archive is refused. Names of
members are never paths here:
they are shown, and one that would be unsafe as a path is refused all the same.
"""

import gzip
import io
import re
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Self, cast

from skyblend.preprocess.bounded import Budget, Exhausted, Limits, Metered, Refused, spooled
from skyblend.sources.contract import Refusal

_GZIP, _ZIP, _ZIP_EMPTY, _APPLE = b"\x1f\x8b", b"PK\x03\x04", b"PK\x05\x06", b"\x00\x05\x16\x07"
_HEAD = 1024
_HEADER_LIMIT = 1 << 20  # bytes of a tar's extended header, which is read at once
_DIRECTORY_LIMIT = 64 << 20  # bytes of a zip's directory, which is read at once
_CORRUPT = (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile)
_BROKEN_ZIP = (ValueError, NotImplementedError, struct.error)  # zipfile lets these through


@dataclass(frozen=True, slots=True)
class Unpacked:
    """One file, whole; `body` is seekable, at its start, and open until the next one is asked
    for."""

    name: str
    body: BinaryIO


@dataclass(frozen=True, slots=True)
class Lost:
    """A member, or the rest of an archive, that could not be read."""

    name: str
    refusal: Refusal


def unpack(name: str, stream: BinaryIO, limits: Limits) -> Iterator[Unpacked | Lost]:
    """The files in `stream`, one by one. What cannot be read is Lost, and the good rest goes on
    where it can."""
    budget = Budget(limits)
    try:
        yield from _open(name, stream, budget)
    except Refused as refused:
        yield Lost(name, refused.refusal)
    except _CORRUPT as error:
        yield Lost(name, Refusal(name, "a whole archive", _words(error)))


def _open(name: str, stream: BinaryIO, budget: Budget) -> Iterator[Unpacked | Lost]:
    head = _peek(stream)
    if head.startswith(_GZIP):
        with gzip.GzipFile(fileobj=stream, mode="rb") as packed:
            inflated = Metered(packed.read1, budget, where=name, packed=stream)
            yield from _inflated(name, inflated, budget)
    elif head.startswith((_ZIP, _ZIP_EMPTY)):
        yield from _zip(name, stream, budget)
    elif _is_tar(head):
        yield from _tar(name, Metered(stream.read, budget, where=name), budget)
    else:
        with spooled(stream.read, budget, where=name) as body:
            yield from _file(name, body)


def _inflated(name: str, stream: Metered, budget: Budget) -> Iterator[Unpacked | Lost]:
    if _is_tar(stream.peek(_HEAD)):
        yield from _tar(name, stream, budget)
    else:
        with spooled(stream.read, budget, where=name) as body:
            yield from _file(_without_gz(name), body)


def _tar(name: str, stream: Metered, budget: Budget) -> Iterator[Unpacked | Lost]:
    with tarfile.open(mode="r|", fileobj=cast(BinaryIO, stream), tarinfo=_Header) as tar:
        while (entry := tar.next()) is not None:
            vars(tar)["members"].clear()  # else every header is kept
            if entry.isdir():
                continue
            budget.count(name)
            yield from _tar_member(tar, entry, budget)
    while stream.read(1 << 16):  # so that the check sum at the end is read
        pass


def _tar_member(
    tar: tarfile.TarFile, entry: tarfile.TarInfo, budget: Budget
) -> Iterator[Unpacked | Lost]:
    shown = _shown(entry.name)
    if (wrong := _unsafe(entry.name) or _special(entry)) is not None:
        yield Lost(shown, Refusal(shown, "a plain file with a relative name", wrong))
        return
    content = cast(BinaryIO, tar.extractfile(entry))
    try:
        yield from _member(shown, content.read, budget)
    except _CORRUPT as error:  # what follows in the stream cannot be found
        raise Refused(Refusal(shown, "a whole archive", _words(error))) from error


def _special(entry: tarfile.TarInfo) -> str | None:
    if entry.issym() or entry.islnk():
        return f"a link to {_shown(entry.linkname)}"
    if entry.issparse():
        return "a sparse file"
    return None if entry.isreg() else "a device or pipe"


class _Header(tarfile.TarInfo):
    """A header that is read strictly: anything but the mark of the end ends the archive with an
    error."""

    @classmethod
    def frombuf(cls, buf: "bytes | bytearray", encoding: str, errors: str) -> Self:
        entry = super().frombuf(buf, encoding, errors)
        if entry.type in b"LKxg" and entry.size > _HEADER_LIMIT:
            raise tarfile.ReadError(f"an extended header of {entry.size} bytes")
        return entry

    @classmethod
    def fromtarfile(cls, tarfile: tarfile.TarFile) -> Self:
        try:
            return super().fromtarfile(tarfile)
        except _HeaderError as error:
            if str(error) == "end of file header":
                raise
            raise _ReadError(f"{error} where the next member or the end should be") from None


_HeaderError, _ReadError = tarfile.HeaderError, tarfile.ReadError


def _zip(name: str, stream: BinaryIO, budget: Budget) -> Iterator[Unpacked | Lost]:
    _check_directory(name, stream)
    with _zip_file(name, stream) as archive:
        for entry in archive.infolist():
            if entry.filename.endswith("/"):  # is_dir fails where the name is empty
                continue
            budget.count(name)
            yield from _zip_member(archive, entry, budget)


def _zip_file(name: str, stream: BinaryIO) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(stream)
    except _BROKEN_ZIP as error:
        raise Refused(Refusal(name, "a whole archive", _words(error))) from error


def _zip_member(
    archive: zipfile.ZipFile, entry: zipfile.ZipInfo, budget: Budget
) -> Iterator[Unpacked | Lost]:
    shown = _shown(entry.filename)
    if (wrong := _unsafe(entry.filename) or _unreadable(entry)) is not None:
        yield Lost(shown, Refusal(shown, "a plain file with a relative name", wrong))
        return
    try:
        with archive.open(entry) as packed:
            counted = Metered(packed.read, budget, where=shown, packed=entry.compress_size)
            yield from _member(shown, counted.read, budget)
    except Exhausted:
        raise
    except Refused as refused:
        yield Lost(shown, refused.refusal)
    except (*_CORRUPT, *_BROKEN_ZIP) as error:
        yield Lost(shown, Refusal(shown, "a whole file", _words(error)))


def _unreadable(entry: zipfile.ZipInfo) -> str | None:
    if entry.header_offset < 0:
        return "one that begins before the archive"
    if entry.flag_bits & 1:
        return "an encrypted one"
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        return f"one packed by method {entry.compress_type}"
    return None


def _check_directory(name: str, stream: BinaryIO) -> None:
    """The size of the directory, from the record at the end, before `zipfile` reads it at once;
    raises Refused."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(max(0, size - 65_557))
    tail = stream.read()
    stream.seek(0)
    at = tail.rfind(_ZIP_EMPTY)
    if at < 0 or len(tail) < at + 22:
        raise Refused(Refusal(name, "a whole archive", "a zip without its directory at the end"))
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    if directory > _DIRECTORY_LIMIT:
        raise Refused(Refusal(name, f"a directory up to {_DIRECTORY_LIMIT} bytes", str(directory)))


def _member(
    name: str, content: Callable[[int], bytes], budget: Budget
) -> Iterator[Unpacked | Lost]:
    """One member of an archive, unpacked once more where it is a .gz."""
    try:
        with spooled(content, budget, where=name) as body:
            head = _peek(body)
            if head.startswith(_GZIP):
                yield from _packed_member(name, body, budget)
            elif head.startswith((_ZIP, _ZIP_EMPTY)) or _is_tar(head):
                yield Lost(name, Refusal(name, "a file", "an archive inside of an archive"))
            else:
                yield from _file(name, body)
    except Exhausted:
        raise
    except Refused as refused:
        yield Lost(name, refused.refusal)


def _packed_member(name: str, packed: BinaryIO, budget: Budget) -> Iterator[Unpacked | Lost]:
    try:
        with gzip.GzipFile(fileobj=packed, mode="rb") as inner:
            counted = Metered(inner.read1, budget, where=name, packed=packed)
            with spooled(counted.read, budget, where=name) as body:
                if _is_tar(_peek(body)):
                    yield Lost(name, Refusal(name, "a file", "an archive inside of an archive"))
                else:
                    yield from _file(_without_gz(name), body)
    except _CORRUPT as error:
        yield Lost(name, Refusal(name, "a whole .gz file", _words(error)))


def _file(name: str, body: BinaryIO) -> Iterator[Unpacked | Lost]:
    head = _peek(body)
    if not head:
        yield Lost(name, Refusal(name, "a file with content", "an empty one"))
    elif not head.startswith(_APPLE):  # the Finder's notes on another file
        yield Unpacked(name, body)


def _peek(stream: BinaryIO) -> bytes:
    head = stream.read(_HEAD)
    stream.seek(0)
    return head


def _is_tar(head: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(head[:512], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _shown(name: str) -> str:
    """A member's name as it is shown and stored: printable, bounded."""
    clean = name.encode("utf-8", "backslashreplace").decode()
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in clean)[:200]


def _unsafe(name: str) -> str | None:
    parts = re.split(r"[/\\]", name)
    if ".." in parts or parts[0] == "" or re.match(r"[A-Za-z]:", name):
        return f"the name {_shown(name)!r}"
    return None


def _without_gz(name: str) -> str:
    return re.sub(r"\.gz$", "", name, flags=re.IGNORECASE)


def _words(error: BaseException) -> str:
    return str(error) or type(error).__name__
