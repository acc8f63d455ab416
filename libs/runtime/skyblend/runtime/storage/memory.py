"""The bucket in memory, for tests and trials."""

import io
from collections.abc import Iterator
from threading import Lock
from typing import BinaryIO

from skyblend.runtime.storage import Absent, Changed, Listed, Stored
from skyblend.runtime.storage.names import check


class MemoryStorage:
    """Objects in a dictionary; as atomic as the Protocol asks, and gone with the process."""

    def __init__(self) -> None:
        self._objects: dict[str, Stored] = {}
        self._lock = Lock()
        self._writes = 0

    def read(self, name: str) -> Stored:
        try:
            return self._objects[check(name)]
        except KeyError:
            raise Absent(name, "there is no such object") from None

    def open(self, name: str) -> BinaryIO:
        return io.BytesIO(self.read(name).data)

    def generation(self, name: str) -> int:
        stored = self._objects.get(check(name))
        return stored.generation if stored else 0

    def write(
        self, name: str, content: bytes | BinaryIO, *, if_generation: int | None = None
    ) -> int:
        content = content if isinstance(content, bytes) else content.read()
        with self._lock:
            self._expect(name, if_generation)
            self._writes += 1
            self._objects[name] = Stored(content, self._writes)
            return self._writes

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        with self._lock:
            self._expect(name, if_generation)
            self._objects.pop(name, None)

    def list(self, prefix: str) -> Iterator[Listed]:
        for name in sorted(self._objects):
            if name.startswith(prefix) and (stored := self._objects.get(name)):
                yield Listed(name, stored.generation, len(stored.data))

    def _expect(self, name: str, generation: int | None) -> None:
        found = self.generation(name)
        if generation is not None and found != generation:
            raise Changed(name, f"expected generation {generation}, got {found}")
