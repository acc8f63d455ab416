"""Who holds leases on the laptop's bus, and whether it still lives."""

import os
import secrets
import threading
from pathlib import Path

from skyblend.runtime.locks import Lock, acquire


class Holder:
    """The identity of one bus object in one process: a locked file that the system unlocks when the
    process ends."""

    def __init__(self, path: Path) -> None:
        self._folder = path.with_name(f"{path.name}.holders")
        self._name, self._handle, self._lock = "", -1, threading.Lock()

    def name(self) -> str:
        with self._lock:
            if not self._name:
                self._folder.mkdir(parents=True, exist_ok=True)
                name = secrets.token_hex(8)
                self._handle = acquire(self._folder / name, Lock.EXCLUSIVE)
                self._name = name
            return self._name

    def lives(self, name: str) -> bool:
        """Whether the holder `name` is there; the file of a dead one is removed."""
        if name == self._name:
            return True
        path = self._folder / name
        try:
            handle = acquire(path, Lock.EXCLUSIVE | Lock.AT_ONCE, create=False)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        path.unlink(missing_ok=True)
        os.close(handle)
        return False

    def end(self) -> None:
        with self._lock:
            if self._name:
                (self._folder / self._name).unlink(missing_ok=True)
                os.close(self._handle)
                self._name, self._handle = "", -1
