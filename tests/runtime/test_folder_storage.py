"""What is particular to the folder: durability, leftovers, restarts."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from skyblend.runtime.storage import Changed, StorageError
from skyblend.runtime.storage.folder import FolderStorage


def test_generations_and_preconditions_survive_a_restart(tmp_path: Path) -> None:
    generation = FolderStorage(tmp_path).write("a", b"one")
    again = FolderStorage(tmp_path)
    assert again.generation("a") == generation
    with pytest.raises(Changed):
        again.write("a", b"two", if_generation=0)
    assert again.write("a", b"two", if_generation=generation) > generation


def test_a_generation_grows_although_the_clock_went_back(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("a", b"one")
    future = 4_000_000_000 * 10**9
    os.utime(storage.path("a"), ns=(future, future))
    assert storage.write("a", b"two") > future


def test_leftovers_of_killed_writers_are_invisible_and_cleaned_at_start(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    left = tmp_path / ".unfinished" / "half"
    left.write_bytes(b"ha")
    assert list(storage.list("")) == []
    FolderStorage(tmp_path)
    assert not left.exists()


def test_a_start_leaves_the_file_of_a_writer_that_is_at_work(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)

    class StartsAnother:
        """A stream during whose reading a second process starts."""

        def __init__(self) -> None:
            self.pieces = [b"one", b"two"]

        def read(self, _: int = -1) -> bytes:
            FolderStorage(tmp_path)
            return self.pieces.pop(0) if self.pieces else b""

    storage.write("a", StartsAnother())  # type: ignore[arg-type]
    assert storage.read("a").data == b"onetwo"


def test_a_write_whose_stream_fails_leaves_the_old_bytes(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("a", b"old")

    class Breaks:
        def read(self, _: int = -1) -> bytes:
            raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        storage.write("a", Breaks())  # type: ignore[arg-type]
    assert storage.read("a").data == b"old"
    assert list((tmp_path / ".unfinished").iterdir()) == []


def test_an_object_and_a_folder_of_one_name_are_refused_clearly(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("a/b", b"x")
    with pytest.raises(StorageError, match="other objects have this name as their folder"):
        storage.write("a", b"x")
    with pytest.raises(StorageError, match="a part of its path is an object"):
        storage.write("a/b/c", b"x")


def test_a_listing_does_not_walk_what_the_prefix_excludes(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    storage.write("raw/x/1", b"")
    storage.write("records/2", b"")
    storage.path("raw/x").chmod(0)  # reading it would fail, unless the tests run as root
    storage.path("records/3").symlink_to(tmp_path / "gone")
    assert [listed.name for listed in storage.list("records/")] == ["records/2"]
    storage.path("raw/x").chmod(0o700)


WRITER = """
import sys
from pathlib import Path
from skyblend.runtime.storage.folder import FolderStorage
storage = FolderStorage(Path(sys.argv[1]))
number = 0
while True:
    number += 1
    storage.write("a", (b"%d " % number) * 50_000)
    print(number, flush=True)
"""


def test_a_killed_writer_leaves_whole_objects_and_loses_nothing_it_told(tmp_path: Path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    with writer, writer.stdout:
        told = [int(writer.stdout.readline()) for _ in range(20)][-1]
        writer.send_signal(signal.SIGKILL)
    words = FolderStorage(tmp_path).read("a").data.split()
    assert len(words) == 50_000
    assert len(set(words)) == 1
    assert int(words[0]) >= told
