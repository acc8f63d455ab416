"""What every storage does; one suite for all implementations.

Cloud Storage is our own small server (tests/pipeline/gcs_server.py), with the real client. Where
STORAGE_EMULATOR_HOST names another server, the suite runs against that one too, in a bucket that it
makes. A server that keeps no preconditions, or tells no generation with an object's bytes, such as
gcp-storage-emulator, skips `PRECONDITIONS`.
"""

import io
import json
import multiprocessing
import os
import secrets
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from gcs_server import serving
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.runtime.storage import Absent, Changed, Storage, StorageError, create, update
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.storage.gcs import GcsStorage
from skyblend.runtime.storage.memory import MemoryStorage

EMULATOR = "STORAGE_EMULATOR_HOST"
GIVEN = os.environ.get(EMULATOR, "")


PRECONDITIONS = frozenset(
    {
        "test_an_object_reads_back_with_its_generation",
        "test_preconditions",
        "test_create_writes_only_once",
        "test_of_64_that_create_at_once_one_wins",
        "test_no_update_is_lost_between_threads",
        "test_an_update_that_leaves_it_writes_nothing",
    }
)


@contextmanager
def _folder(path: Path) -> Iterator[Storage]:
    yield FolderStorage(path / "bucket")


@contextmanager
def _memory(_: Path) -> Iterator[Storage]:
    yield MemoryStorage()


@contextmanager
def _gcs(_: Path) -> Iterator[Storage]:
    with serving() as gcs, pytest.MonkeyPatch.context() as patch:
        patch.setenv(EMULATOR, gcs.url)
        with closing(GcsStorage(gcs.bucket.name, project="p", patience=5)) as storage:
            yield storage


@contextmanager
def _given(_: Path) -> Iterator[Storage]:
    """The server that the environment names, with a new bucket."""
    bucket = f"contract-{secrets.token_hex(6)}"
    made = json.dumps({"name": bucket}).encode()
    asked = urllib.request.Request(
        f"{GIVEN}/storage/v1/b?project=p", made, {"Content-Type": "application/json"}
    )
    urllib.request.urlopen(asked, timeout=10).close()
    with closing(GcsStorage(bucket, project="p", patience=5)) as storage:
        yield storage


KINDS = {"folder": _folder, "memory": _memory, "gcs": _gcs}
if GIVEN:
    KINDS["given"] = _given


@pytest.fixture(params=sorted(KINDS))
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    with KINDS[request.param](tmp_path) as made:
        asked = request.node.originalname
        if request.param == "given" and asked in PRECONDITIONS and not _keeps_them(made):
            pytest.skip("the server that STORAGE_EMULATOR_HOST names keeps no preconditions")
        yield made


def _keeps_them(storage: Storage) -> bool:
    """Whether a second creation is refused."""
    won = [create(storage, "probe", b"") for _ in range(2)]
    storage.delete("probe")
    return won == [True, False]


def test_an_object_reads_back_with_its_generation(storage: Storage) -> None:
    generation = storage.write("raw/a.pb", b"one")
    assert generation > 0
    assert storage.read("raw/a.pb").data == b"one"
    assert storage.read("raw/a.pb").generation == generation == storage.generation("raw/a.pb")


def test_an_absent_object_has_generation_0_and_cannot_be_read(storage: Storage) -> None:
    assert storage.generation("raw/a.pb") == 0
    with pytest.raises(Absent, match=r"raw/a\.pb"):
        storage.read("raw/a.pb")
    with pytest.raises(Absent):
        storage.open("raw/a.pb")


def test_a_folder_is_no_object(storage: Storage) -> None:
    storage.write("raw/a.pb", b"one")
    assert storage.generation("raw") == 0
    with pytest.raises(Absent):
        storage.read("raw")
    with pytest.raises(Absent):
        storage.read("raw/a.pb/b")


def test_generations_grow_with_every_write(storage: Storage) -> None:
    written = [storage.write("a", b"same") for _ in range(50)]
    assert written == sorted(set(written))


def test_a_generation_does_not_come_back_after_a_deletion(storage: Storage) -> None:
    first = storage.write("a", b"one")
    storage.delete("a")
    assert storage.write("a", b"two") > first


def test_a_stream_is_written_and_read(storage: Storage) -> None:
    content = bytes(range(256)) * 10_000
    storage.write("big", io.BytesIO(content))
    with storage.open("big") as stream:
        stream.seek(256)
        assert stream.read(3) == b"\x00\x01\x02"
        stream.seek(0)
        assert stream.read() == content


def test_a_stream_is_written_from_where_it_stands(storage: Storage) -> None:
    stream = io.BytesIO(b"0123456789")
    stream.seek(4)
    storage.write("a", stream)
    assert storage.read("a").data == b"456789"


def test_a_reader_keeps_the_bytes_that_it_opened(storage: Storage) -> None:
    storage.write("a", b"old")
    with storage.open("a") as stream:
        storage.write("a", b"new")
        assert stream.read() == b"old"


def test_preconditions(storage: Storage) -> None:
    first = storage.write("a", b"one", if_generation=0)
    with pytest.raises(Changed):
        storage.write("a", b"two", if_generation=0)
    second = storage.write("a", b"two", if_generation=first)
    with pytest.raises(Changed):
        storage.write("a", b"three", if_generation=first)
    with pytest.raises(Changed):
        storage.delete("a", if_generation=first)
    assert storage.read("a").data == b"two"
    storage.delete("a", if_generation=second)
    assert storage.generation("a") == 0


def test_a_deletion_of_nothing_is_no_error_without_a_generation(storage: Storage) -> None:
    storage.delete("a")
    with pytest.raises(Changed):
        storage.delete("a", if_generation=7)


def test_a_listing_is_in_order_of_name_and_tells_sizes(storage: Storage) -> None:
    names = ["a/b", "a-b", "a.b", "a/b/c".replace("b/", "z/"), "a0", "b", "a/é", "a/c"]
    for name in names:
        storage.write(name, name.encode())
    assert [listed.name for listed in storage.list("")] == sorted(names)
    assert [listed.size for listed in storage.list("a/b")] == [3]
    assert [listed.name for listed in storage.list("a/")] == ["a/b", "a/c", "a/z/c", "a/é"]
    assert [listed.name for listed in storage.list("a/z/c")] == ["a/z/c"]
    assert list(storage.list("c/")) == []
    first = next(iter(storage.list("b")))
    assert first.generation == storage.generation("b")


REFUSED = (
    "", "/a", "a/", "a//b", "../a", "a/../b", "a/..", "./a", ".locks/1", "a/.b", "a\\b", "a\x00b",
    "a\nb", "x" * 256, "/".join(["x" * 200] * 5), "a\ud800",
)  # fmt: skip


@pytest.mark.parametrize("name", REFUSED, ids=range(len(REFUSED)))
def test_names_that_are_refused(storage: Storage, name: str) -> None:
    with pytest.raises(StorageError, match="not a name of an object"):
        storage.write(name, b"x")
    with pytest.raises(StorageError):
        storage.read(name)
    assert list(storage.list("")) == []


@settings(max_examples=60, deadline=None)
@given(name=st.text(max_size=40))
def test_any_name_is_stored_or_refused(name: str) -> None:
    memory = MemoryStorage()
    try:
        memory.write(name, b"x")
    except StorageError:
        assert list(memory.list("")) == []
    else:
        assert [listed.name for listed in memory.list("")] == [name]


def test_create_writes_only_once(storage: Storage) -> None:
    assert create(storage, "a", b"one")
    assert not create(storage, "a", b"two")
    assert storage.read("a").data == b"one"


def test_of_64_that_create_at_once_one_wins(storage: Storage) -> None:
    barrier = threading.Barrier(64)

    def race(number: int) -> bool:
        barrier.wait()
        return create(storage, "raw/race", b"%d" % number)

    with ThreadPoolExecutor(64) as pool:
        won = list(pool.map(race, range(64)))
    assert won.count(True) == 1
    assert storage.read("raw/race").data == b"%d" % won.index(True)


def test_no_update_is_lost_between_threads(storage: Storage) -> None:
    def count(_: int) -> None:
        update(storage, "count", lambda before: b"%d" % (int(before or 0) + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count, range(64)))
    assert storage.read("count").data == b"64"


def test_an_update_that_leaves_it_writes_nothing(storage: Storage) -> None:
    generation = storage.write("a", b"one")
    assert update(storage, "a", lambda _: None) == b"one"
    assert update(storage, "a", lambda before: before) == b"one"
    assert update(storage, "b", lambda _: None) is None
    assert storage.generation("a") == generation


def _race(
    root: Path, start: "threading.Event", number: int, won: "multiprocessing.Queue[int]"
) -> None:
    storage = FolderStorage(root)
    start.wait()
    for attempt in range(16):
        if create(storage, f"race/{attempt}", b"%d" % number):
            won.put(attempt)


def test_of_processes_that_create_at_once_one_wins(tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")
    start, won = fork.Event(), fork.Queue()
    racers = [fork.Process(target=_race, args=(tmp_path, start, n, won)) for n in range(4)]
    for racer in racers:
        racer.start()
    start.set()
    for racer in racers:
        racer.join()
    assert sorted(won.get() for _ in range(16)) == list(range(16))  # 64 creations, 16 winners
    assert won.empty()
