"""Locks on files between processes; the system gives them back when their process ends, however it
ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntFlag
from pathlib import Path


class Lock(IntFlag):
    """How to lock; with AT_ONCE a lock that is held raises BlockingIOError."""

    SHARED = fcntl.LOCK_SH
    EXCLUSIVE = fcntl.LOCK_EX
    AT_ONCE = fcntl.LOCK_NB


def acquire(path: Path, how: Lock, *, create: bool = True) -> int:
    """Lock the file and give its handle; closing the handle unlocks. Raises FileNotFoundError
    without `create`."""
    handle = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(handle, how)
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def held(path: Path, how: Lock) -> Iterator[None]:
    """The lock, for the time of a block."""
    handle = acquire(path, how)
    try:
        yield
    finally:
        os.close(handle)
