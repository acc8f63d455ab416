"""Uploaded files: stored as they came, named by their sha256, announced once."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePosixPath
from typing import IO, BinaryIO, cast

from google.protobuf.json_format import MessageToJson, Parse
from skyblend.ingest.announce import announce
from skyblend.ingest.outcome import outcome
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Upload
from skyblend.runtime import names
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import create, update
from skyblend.sources.registry import SOURCES

LONGEST_NAME = 255
_PIECE = 1 << 20
_IN_MEMORY = 8 << 20


class BadUpload(ValueError):
    """An upload whose name or source cannot be; nothing is stored."""

    def __init__(self, where: str, expected: str, got: str) -> None:
        super().__init__(f"{where}: expected {expected}, got {got}")
        self.where, self.expected, self.got = where, expected, got


class TooLarge(Exception):
    """More bytes than `limit`; nothing is stored."""

    where = "size"

    def __init__(self, limit: int, got: str = "more") -> None:
        super().__init__(f"an upload has at most {limit} bytes (SKYBLEND_UPLOAD_LIMIT)")
        self.limit, self.got = limit, got
        self.expected = f"at most {limit} bytes (SKYBLEND_UPLOAD_LIMIT)"


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """Where an upload lies; `created` is False where the same bytes were there before, `event` is
    the id of the message that announces it, empty where it is already processed."""

    sha256: str
    object: str
    created: bool
    event: str = ""


def store(
    runtime: Runtime,
    stream: IO[bytes],
    *,
    file_name: str,
    source: str = "",
    collect: bool = False,
    now: datetime,
) -> StoredUpload:
    """Store a file's bytes and announce them. The first time of receipt stays; a source or a
    collecting that is stated only now has the file processed again. Raises BadUpload, TooLarge."""
    meta = _stated(file_name, source, now=now, collect=collect)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as spool:
        limit = runtime.settings.upload_limit
        meta.sha256, meta.size = _pass(stream, limit, piece_to=spool.write)
        return _keep(runtime, meta, cast(BinaryIO, spool))


def store_steady(
    runtime: Runtime,
    stream: BinaryIO,
    *,
    file_name: str,
    source: str = "",
    collect: bool = False,
    now: datetime,
) -> StoredUpload:
    """As `store`, for a stream that can be read twice and gives the same bytes: no copy of it is
    made on the way, which would fill the memory where there is no disk, as on Cloud Run."""
    meta = _stated(file_name, source, now=now, collect=collect)
    limit = runtime.settings.upload_limit
    if (size := stream.seek(0, os.SEEK_END)) > limit:
        raise TooLarge(limit, got=f"{size} bytes")
    stream.seek(0)
    meta.sha256, meta.size = _pass(stream, limit)
    return _keep(runtime, meta, stream)


def _stated(file_name: str, source: str, *, now: datetime, collect: bool) -> Upload:
    meta = Upload(file_name=checked_name(file_name), source=checked_source(source), collect=collect)
    meta.received_at.FromDatetime(now)
    return meta


def _pass(
    stream: IO[bytes], limit: int, *, piece_to: Callable[[bytes], object] = lambda _: None
) -> tuple[str, int]:
    """Read the stream, at most `limit` bytes, piece by piece; gives sha256 and size."""
    sha256, size = hashlib.sha256(), 0
    while piece := stream.read(_PIECE):
        size += len(piece)
        if size > limit:
            raise TooLarge(limit)
        sha256.update(piece)
        piece_to(piece)
    return sha256.hexdigest(), size


def _keep(runtime: Runtime, meta: Upload, content: BinaryIO) -> StoredUpload:
    """Store what was read, from its start, and announce it."""
    name = names.upload(meta.sha256)
    _check_restated(runtime, name, meta.source)
    kept, is_news = _keep_meta(runtime, name, meta)  # before the bytes: whoever finds them finds it
    content.seek(0)
    created = not runtime.storage.generation(name) and create(runtime.storage, name, content)
    return StoredUpload(meta.sha256, name, created, _announce(runtime, name, kept, is_news=is_news))


def _check_restated(runtime: Runtime, name: str, source: str) -> None:
    """A file that was read as one source is not to be emptied by stating another."""
    found = outcome(runtime.storage, name) if source else None
    if found is not None and found.records and found.source != source:
        known = f"this file gave {found.records} records as {found.source}"
        raise BadUpload("source", f"{found.source} or none, as {known}", source)


def _keep_meta(runtime: Runtime, name: str, given: Upload) -> tuple[Upload, bool]:
    """What is known of the file from now on, and whether that is other than it was."""
    news = False

    def change(before: bytes | None) -> bytes | None:
        nonlocal news
        known = Parse(before, Upload()) if before else None
        after = _merged(known, given) if known else given
        news = known is not None and after != known
        if news:  # before it is known: after a crash in between, the file is processed again
            runtime.storage.delete(names.processed(name))
        return None if known == after else MessageToJson(after, indent=None).encode()

    kept = update(runtime.storage, names.upload_meta(name), change)
    return Parse(kept or b"{}", Upload()), news


def _merged(known: Upload, given: Upload) -> Upload:
    merged = Upload()
    merged.CopyFrom(known)
    merged.source = given.source or known.source
    merged.collect = given.collect or known.collect
    return merged


def _announce(runtime: Runtime, name: str, meta: Upload, *, is_news: bool) -> str:
    if is_news:
        runtime.storage.delete(names.processed(name))
    elif runtime.storage.generation(names.processed(name)):
        return ""
    event = RawStored(object=name, source=meta.source, received_at=meta.received_at)
    return announce(runtime, event)


def checked_name(file_name: str) -> str:
    """The file's name without its folders; raises BadUpload."""
    name = PurePosixPath(file_name.replace("\\", "/")).name
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        expected = f"a printable file name of at most {LONGEST_NAME} characters"
        raise BadUpload("name", expected, repr(name[:80]))
    return name


def checked_source(source: str) -> str:
    """A source that is known, or none; raises BadUpload."""
    if source and source not in SOURCES:
        raise BadUpload("source", f"one of {', '.join(sorted(SOURCES))}", repr(source[:80]))
    return source
