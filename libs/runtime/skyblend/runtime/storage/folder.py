"""The bucket as a folder: whole, durable writes and preconditions that hold between processes.

An object is a file; its generation is the file's modification time in ns, made larger with every
write. A write goes to a temporary file, is flushed to the disk and renamed, under a lock of the
name's; so a reader sees the old bytes or the new.
"""

import hashlib
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from skyblend.runtime.locks import Lock, held
from skyblend.runtime.storage import Absent, Changed, Listed, StorageError, Stored
from skyblend.runtime.storage.names import check

LOCKS = 64
_PIECE = 1 << 20
# File systems round times; the smallest step that this one keeps is found by trying.
_STEPS_NS = (1, 1_000, 1_000_000, 1_000_000_000, 2_000_000_000)


class FolderStorage:
    """Objects as files below `root`, which is made. Names beginning with a dot are its own: locks
    and unfinished writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._locks, self._unfinished = root / ".locks", root / ".unfinished"
        for folder in (root, self._locks, self._unfinished):
            folder.mkdir(parents=True, exist_ok=True)
        self._clean()

    def path(self, name: str) -> Path:
        """Where the object's file is, for readers that want files."""
        return self.root / check(name)

    def read(self, name: str) -> Stored:
        with self.open(name) as stream:
            return Stored(stream.read(), os.fstat(stream.fileno()).st_mtime_ns)

    def open(self, name: str) -> BinaryIO:
        try:
            return self.path(name).open("rb")
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            raise Absent(name, "there is no such object") from None

    def generation(self, name: str) -> int:
        return _generation(self.path(name))

    def write(
        self, name: str, content: bytes | BinaryIO, *, if_generation: int | None = None
    ) -> int:
        target = self.path(name)
        with self._writing() as unfinished:
            _put(unfinished, content)
            with self._locked(name):
                before = _expect(name, target, if_generation)
                _make_folders(name, target.parent, self.root)
                generation = _stamp(unfinished, before)
                _rename(name, unfinished, target)
        return generation

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        target = self.path(name)
        with self._locked(name):
            if _expect(name, target, if_generation):
                target.unlink()
                _flush_folder(target.parent)

    def list(self, prefix: str) -> Iterator[Listed]:
        folder = prefix.rpartition("/")[0]
        start = self.root / check(folder) if folder else self.root
        for listed in _walk(start, f"{folder}/" if folder else "", prefix):
            if listed.name.startswith(prefix):
                yield listed

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        part = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4]) % LOCKS
        with held(self._locks / str(part), Lock.EXCLUSIVE):
            yield

    @contextmanager
    def _writing(self) -> Iterator[Path]:
        """A path for a temporary file, gone afterwards; the shared lock tells `_clean` that
        somebody writes."""
        unfinished = self._unfinished / secrets.token_hex(12)
        with held(self._locks / "writers", Lock.SHARED):
            try:
                yield unfinished
            finally:
                unfinished.unlink(missing_ok=True)

    def _clean(self) -> None:
        """Remove what killed writers left, unless somebody is writing now; then a later start
        does."""
        try:
            with held(self._locks / "writers", Lock.EXCLUSIVE | Lock.AT_ONCE):
                for left in self._unfinished.iterdir():
                    left.unlink()
        except BlockingIOError:
            return


def _generation(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns if path.is_file() else 0
    except FileNotFoundError:
        return 0


def _expect(name: str, path: Path, generation: int | None) -> int:
    """The generation that is there; raises Changed where it is not the expected one."""
    found = _generation(path)
    if generation is not None and found != generation:
        raise Changed(name, f"expected generation {generation}, got {found}")
    return found


def _put(path: Path, content: bytes | BinaryIO) -> None:
    with path.open("xb") as stream:
        if isinstance(content, bytes):
            stream.write(content)
        else:
            shutil.copyfileobj(content, stream, _PIECE)
        stream.flush()
        os.fsync(stream.fileno())


def _stamp(path: Path, before: int) -> int:
    """Give the file a modification time later than `before`, and tell it as the file system keeps
    it."""
    for step in _STEPS_NS:
        wanted = max(time.time_ns(), before + step)
        os.utime(path, ns=(wanted, wanted))
        if (kept := path.stat().st_mtime_ns) > before:
            return kept
    raise StorageError(str(path), f"the file system keeps no time later than {before} ns")


def _rename(name: str, unfinished: Path, target: Path) -> None:
    try:
        unfinished.replace(target)
    except IsADirectoryError:
        raise StorageError(name, "other objects have this name as their folder") from None
    _flush_folder(target.parent)


def _make_folders(name: str, folder: Path, root: Path) -> None:
    if folder == root or folder.is_dir():
        return
    _make_folders(name, folder.parent, root)
    try:
        folder.mkdir(exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise StorageError(name, "a part of its path is an object") from None
    _flush_folder(folder.parent)


def _flush_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _walk(folder: Path, inside: str, prefix: str) -> Iterator[Listed]:
    """The objects below `folder` in order of name; a folder that cannot hold a name with `prefix`
    is not entered."""
    try:
        with os.scandir(folder) as entries:
            found = sorted((e.name + "/" * e.is_dir(), e) for e in entries)
    except (FileNotFoundError, NotADirectoryError):
        return
    for part, entry in found:
        name = inside + part
        if part.startswith(".") or not (name.startswith(prefix) or prefix.startswith(name)):
            continue
        if part.endswith("/"):
            yield from _walk(folder / part, name, prefix)
        elif (listed := _listed(name, entry)) is not None:
            yield listed


def _listed(name: str, entry: "os.DirEntry[str]") -> Listed | None:
    try:
        stat = entry.stat()
    except FileNotFoundError:  # removed since the folder was read
        return None
    return Listed(name, stat.st_mtime_ns, stat.st_size)
