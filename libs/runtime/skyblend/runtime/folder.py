"""The data folder as a whole: its format, the lock of a running pipeline, and what that pipeline
tells others."""

import json
import os
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from skyblend.runtime.locks import Lock, acquire, held
from skyblend.runtime.settings import Misconfigured

FORMAT = 2
VERSION_FILE, RUNNING_FILE, LOCK_FILE = "version", "running.json", "lock"
_SHOWN = 60  # bytes of a file that is no version
# Format that a folder has -> what brings it to the next one.
# 1: `latest/` had an object for each place, which still counts; who wrote those reads no others.
MIGRATIONS: dict[int, Callable[[Path], None]] = {1: lambda _: None}


class Locked(Exception):
    """Another pipeline runs on this folder; the text says which."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """What a running `skyblend up` tells other commands: its address, its realm, since when
    (ISO 8601, UTC), and the environment variables by which they reach its bus, where that is not
    the file in this folder."""

    pid: int
    address: str
    realm: str
    started_at: str
    environ: Mapping[str, str] = field(default_factory=dict)


def prepare(data: Path) -> None:
    """Make the folder, or check its format: a newer one is refused (Misconfigured), an older one
    migrated. One that cannot be written is refused as well (Misconfigured)."""
    _make_writable(data)
    found = _format(data)
    if found > FORMAT:
        raise Misconfigured(
            f"{data} has format {found}, this Skyblend reads up to {FORMAT}:"
            " install a newer one or choose another folder"
        )
    if found == FORMAT:
        return
    with held(data / f".{VERSION_FILE}.lock", Lock.EXCLUSIVE):
        for version in range(max(_format(data), 1), FORMAT):
            MIGRATIONS[version](data)
            write_whole(data / VERSION_FILE, {"format": version + 1})
        if not _format(data):
            write_whole(data / VERSION_FILE, {"format": FORMAT})


def _format(data: Path) -> int:
    """The format of the folder, 0 for a new one."""
    path = data / VERSION_FILE
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return 0
    try:
        found = json.loads(content)["format"]
    except (ValueError, TypeError, KeyError):
        found = None
    if type(found) is not int or found < 1:
        got = content[:_SHOWN].decode(errors="replace").strip()
        raise Misconfigured(f'{path}: expected {{"format": {FORMAT}}}, got {got!r}')
    return found


def _make_writable(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise Misconfigured(f"the data folder {data} cannot be made: {why}") from None
    if not os.access(data, os.W_OK | os.X_OK, effective_ids=True):
        raise Misconfigured(
            f"the data folder {data} cannot be written by user {os.geteuid()}: choose another with"
            " --data, or change its owner or mode"
        )


@contextmanager
def pipeline_lock(data: Path) -> Iterator[None]:
    """Hold the folder for one pipeline; raises Locked where another process has it."""
    data.mkdir(parents=True, exist_ok=True)
    try:
        handle = acquire(data / LOCK_FILE, Lock.EXCLUSIVE | Lock.AT_ONCE)
    except BlockingIOError:
        raise Locked(_who(data)) from None
    try:
        yield
    finally:
        os.close(handle)


def _who(data: Path) -> str:
    running = read_running(data)
    if running is None:
        return f"another pipeline holds {data / LOCK_FILE}"
    return (
        f"process {running.pid} runs on {data} since {running.started_at},"
        f" at {running.address} ({running.realm})"
    )


def write_running(data: Path, running: Running) -> None:
    """Tell the other commands."""
    write_whole(data / RUNNING_FILE, asdict(running))


def read_running(data: Path) -> Running | None:
    """What the pipeline that runs now told; None where none does, whatever a dead one left."""
    try:
        found = Running(**json.loads((data / RUNNING_FILE).read_bytes()))
    except (FileNotFoundError, ValueError, TypeError):
        return None
    return found if is_locked(data) else None


def clear_running(data: Path) -> None:
    """The pipeline has ended."""
    (data / RUNNING_FILE).unlink(missing_ok=True)


def is_locked(data: Path) -> bool:
    """Whether a process holds the folder. The lock tells it, not the pid: the system ends it with
    its process."""
    try:
        handle = acquire(data / LOCK_FILE, Lock.SHARED | Lock.AT_ONCE, create=False)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    os.close(handle)
    return False


def write_whole(path: Path, content: dict[str, Any]) -> None:
    """Write a small JSON file whole or not at all."""
    draft = path.with_name(f".{path.name}-{secrets.token_hex(6)}")
    try:
        with draft.open("x") as stream:
            json.dump(content, stream)
            stream.flush()
            os.fsync(stream.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
