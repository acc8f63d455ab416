"""The bucket: named objects with generations, behind one Protocol.

StorageError
    Absent      there is no object of that name
    Changed     the object is not at the generation that was named
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol


class StorageError(Exception):
    """Something about an object; `name` says which."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name


class Absent(StorageError):
    """There is no object of that name."""


class Changed(StorageError):
    """The object is not at the generation that was named: somebody else wrote it."""


@dataclass(frozen=True, slots=True)
class Stored:
    """An object's bytes with its generation, a positive number that grows with every write."""

    data: bytes
    generation: int


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing; size in bytes."""

    name: str
    generation: int
    size: int


class Storage(Protocol):
    """Objects named by slash-separated paths. A write is whole or not at all, and durable when it
    returns."""

    def read(self, name: str) -> Stored:
        """The object; raises Absent."""
        ...

    def open(self, name: str) -> BinaryIO:
        """The object's bytes as a seekable stream, for objects that may be large; raises Absent."""
        ...

    def generation(self, name: str) -> int:
        """The object's generation, 0 where it is absent."""
        ...

    def write(
        self, name: str, content: bytes | BinaryIO, *, if_generation: int | None = None
    ) -> int:
        """Write the object and give its generation. With `if_generation` only over that one (0:
        only if absent), else Changed."""
        ...

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        """Remove the object; one that is absent is no error without `if_generation`."""
        ...

    def list(self, prefix: str) -> Iterator[Listed]:
        """The objects whose names begin with `prefix`, in order of name."""
        ...


def create(storage: Storage, name: str, content: bytes | BinaryIO) -> bool:
    """Write the object if it is absent; False where it was there."""
    try:
        storage.write(name, content, if_generation=0)
    except Changed:
        return False
    return True


def update(
    storage: Storage, name: str, change: Callable[[bytes | None], bytes | None]
) -> bytes | None:
    """Read, change and write an object until nobody came between; `change` gets None for an absent
    one and gives None for "leave it". Gives what stands there now. `change` may be called several
    times."""
    while True:
        try:
            stored = storage.read(name)
            before, generation = stored.data, stored.generation
        except Absent:
            before, generation = None, 0
        after = change(before)
        if after is None or after == before:
            return before
        try:
            storage.write(name, after, if_generation=generation)
        except Changed:
            continue
        return after
