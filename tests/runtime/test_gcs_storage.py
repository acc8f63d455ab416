"""Cloud Storage where the network and the server are in trouble: the real client and our server."""

import io
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest
from gcs_server import Call, Gcs, serving
from skyblend.runtime.storage import Absent, Changed, StorageError, create, update
from skyblend.runtime.storage.gcs import GcsStorage

PIECE = 512 << 10  # bytes
LARGE = random.Random(7).randbytes(2 * PIECE + 4321)


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gcs]:
    with serving() as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.fixture
def storage(gcs: Gcs) -> Iterator[GcsStorage]:
    with closing(GcsStorage(gcs.bucket.name, project="p", patience=2, piece=PIECE)) as made:
        yield made


def test_nothing_is_asked_before_the_first_use(gcs: Gcs) -> None:
    GcsStorage(gcs.bucket.name, project="p")
    assert gcs.calls == []


def test_google_is_imported_at_the_first_use_only() -> None:
    script = (
        "import sys; from skyblend.runtime.storage.gcs import GcsStorage\n"
        "GcsStorage('weather', project='p')\n"
        "assert not {'google.cloud.storage', 'google.auth', 'requests'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)


def test_each_operation_is_one_request(gcs: Gcs, storage: GcsStorage) -> None:
    storage.write("a", b"one")
    storage.read("a")
    storage.open("a").close()
    storage.generation("a")
    list(storage.list(""))
    storage.delete("a")
    expected = ["POST multipart", "GET media", "GET media", "GET", "GET list", "DELETE"]
    assert gcs.kinds() == expected


def test_one_connection_serves_one_thread_also_through_refusals(
    gcs: Gcs, storage: GcsStorage
) -> None:
    gcs.trouble("GET media", "refuse", times=3)
    storage.write("a", b"one")
    for _ in range(10):
        storage.read("a")
        assert storage.generation("b") == 0
        with pytest.raises(Absent):
            storage.read("b")
    assert gcs.connections == 1


def test_an_empty_object_is_written_and_read(storage: GcsStorage) -> None:
    storage.write("a", b"")
    storage.write("b", io.BytesIO())
    assert storage.read("a").data == storage.read("b").data == b""
    with storage.open("a") as stream:
        assert stream.read() == b""


@pytest.mark.parametrize("kind", ["GET media", "GET", "POST multipart", "GET list", "DELETE"])
def test_a_server_that_is_down_for_a_moment_is_asked_again(
    gcs: Gcs, storage: GcsStorage, kind: str
) -> None:
    storage.write("a", b"one")
    gcs.trouble(kind, "refuse", times=2, status=503)
    storage.write("b", b"two", if_generation=0)
    assert storage.read("a").data == b"one"
    assert storage.generation("a") > 0
    assert [listed.name for listed in storage.list("")] == ["a", "b"]
    storage.delete("a")
    assert storage.generation("a") == 0
    assert not gcs.troubles


def test_a_server_that_stays_down_is_an_error_that_says_what_and_where(gcs: Gcs) -> None:
    gcs.trouble("GET media", "refuse", times=500)
    with (
        closing(GcsStorage(gcs.bucket.name, project="p", patience=0.3)) as storage,
        pytest.raises(StorageError, match=r"raw/a: gave up trying to read it.*503"),
    ):
        storage.read("raw/a")


def test_what_is_forbidden_is_not_tried_again(gcs: Gcs, storage: GcsStorage) -> None:
    gcs.trouble("POST multipart", "refuse", status=403)
    with pytest.raises(StorageError, match=r"a: Cloud Storage refuses to write it: 403"):
        storage.write("a", b"one")
    assert gcs.kinds() == ["POST multipart"]


def test_a_missing_bucket_is_not_an_empty_one(gcs: Gcs) -> None:
    with closing(GcsStorage("mispelt", project="p")) as storage:
        for ask in (storage.read, storage.open, storage.generation, storage.delete):
            with pytest.raises(StorageError, match="bucket does not exist") as caught:
                ask("a")
            assert not isinstance(caught.value, Absent)
        with pytest.raises(StorageError, match="bucket does not exist"):
            list(storage.list(""))
        with pytest.raises(StorageError, match="bucket does not exist"):
            storage.write("a", b"one")


def test_a_server_that_is_not_there_is_an_error_of_storage(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with serving() as gone:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gone.url)
    with (
        closing(GcsStorage("weather", project="p", patience=0.2)) as storage,
        pytest.raises(StorageError, match="a: gave up trying to read it"),
    ):
        storage.read("a")


def test_missing_credentials_are_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("STORAGE_EMULATOR_HOST", raising=False)
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "absent.json"))
    with pytest.raises(StorageError, match=r"a: Google's credentials do not serve .*absent\.json"):
        GcsStorage("weather", project="p").read("a")


def test_a_winner_whose_answer_was_lost_has_won(gcs: Gcs, storage: GcsStorage) -> None:
    gcs.trouble("POST multipart", "lose")
    generation = storage.write("a", b"one", if_generation=0)
    assert generation == gcs.bucket.objects["a"].generation
    gcs.trouble("POST multipart", "lose")
    assert storage.write("a", b"two", if_generation=generation) > generation
    assert storage.read("a").data == b"two"


def test_of_16_that_create_at_once_one_wins_though_answers_are_lost(
    gcs: Gcs, storage: GcsStorage
) -> None:
    for how in ("lose", "refuse", "lose", "lose", "refuse", "lose") * 2:
        gcs.trouble("POST multipart", how)
    barrier = threading.Barrier(16)

    def race(_: int) -> bool:
        barrier.wait()
        return create(storage, "a", b"the same bytes")

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(race, range(16))).count(True) == 1


def test_a_loser_with_the_same_bytes_has_lost(gcs: Gcs, storage: GcsStorage) -> None:
    storage.write("a", b"one")
    gcs.trouble("POST multipart", "refuse")
    assert not create(storage, "a", b"one")


def test_a_loser_asks_no_more_than_it_must(gcs: Gcs, storage: GcsStorage) -> None:
    storage.write("a", b"one")
    with pytest.raises(Changed):
        storage.write("a", b"two", if_generation=0)
    assert gcs.kinds() == ["POST multipart", "POST multipart"]


def test_no_update_is_lost_or_doubled_where_answers_are(gcs: Gcs, storage: GcsStorage) -> None:
    for number in range(10):
        gcs.trouble("POST multipart", "lose" if number % 2 else "refuse")
        update(storage, "count", lambda before: b"%d" % (int(before or 0) + 1))
    assert storage.read("count").data == b"10"


def test_a_deletion_whose_answer_was_lost_is_done(gcs: Gcs, storage: GcsStorage) -> None:
    generation = storage.write("a", b"one")
    gcs.trouble("DELETE", "lose")
    storage.delete("a", if_generation=generation)
    assert storage.generation("a") == 0


def test_an_answer_that_breaks_off_is_read_anew(gcs: Gcs, storage: GcsStorage) -> None:
    storage.write("a", b"content" * 1000)
    gcs.trouble("GET media", "cut")
    assert storage.read("a").data == b"content" * 1000
    gcs.trouble("GET media", "cut")
    with storage.open("a") as stream:
        assert stream.read() == b"content" * 1000


def test_bytes_and_generation_belong_together_where_a_write_comes_between(
    gcs: Gcs, storage: GcsStorage
) -> None:
    storage.write("a", b"old" * 1000)
    gcs.trouble("GET media", "cut")

    def between(call: Call) -> None:
        if call.kind == "GET media" and len(gcs.kinds()) == 3:
            gcs.bucket.put({"name": "a"}, b"new" * 1000, {})

    gcs.meanwhile = between
    stored = storage.read("a")
    assert stored.data == b"new" * 1000
    assert stored.generation == gcs.bucket.objects["a"].generation


def test_bytes_that_are_not_those_of_their_checksum_are_refused(
    gcs: Gcs, storage: GcsStorage
) -> None:
    storage.write("a", b"one")
    gcs.trouble("GET media", "spoil", times=4)
    with pytest.raises(StorageError, match="checksum"):
        storage.read("a")
    with pytest.raises(StorageError, match="checksum"):
        storage.open("a")


def test_bytes_that_change_on_their_way_up_are_not_stored(gcs: Gcs, storage: GcsStorage) -> None:
    made = storage.write("a", b"one")
    digest = gcs.bucket.objects["a"].crc32c
    spoiled = {"name": "a", "crc32c": digest}
    with pytest.raises(Exception, match="doesn't match"):
        gcs.bucket.put(spoiled, b"two", {})
    assert storage.generation("a") == made


def test_a_large_object_goes_up_in_pieces_and_comes_down_in_pieces(
    gcs: Gcs, storage: GcsStorage
) -> None:
    storage.write("big", io.BytesIO(LARGE), if_generation=0)
    assert gcs.kinds() == ["POST resumable", "PUT piece", "PUT piece", "PUT piece"]
    gcs.calls.clear()
    with storage.open("big") as stream:
        stream.seek(-5, os.SEEK_END)
        assert stream.read() == LARGE[-5:]
        stream.seek(PIECE - 2)
        assert stream.read(4) == LARGE[PIECE - 2 : PIECE + 2]
        stream.seek(0)
        assert stream.read() == LARGE
    assert set(gcs.kinds()) == {"GET", "GET media"}
    assert all("range" in call.headers for call in gcs.calls if call.kind == "GET media")


@pytest.mark.parametrize("size", [PIECE - 1, PIECE, PIECE + 1, 2 * PIECE])
def test_sizes_around_a_piece(storage: GcsStorage, size: int) -> None:
    storage.write("a", io.BytesIO(LARGE[:size]))
    with storage.open("a") as stream:
        assert stream.read() == LARGE[:size]


def test_a_stream_is_written_from_where_it_stands(storage: GcsStorage) -> None:
    stream = io.BytesIO(LARGE)
    stream.seek(100)
    storage.write("big", stream)
    assert storage.read("big").data == LARGE[100:]
    stream.seek(-3, os.SEEK_END)
    storage.write("small", stream)
    assert storage.read("small").data == LARGE[-3:]


@pytest.mark.parametrize("how", ["refuse", "lose", "stop"])
def test_an_upload_in_pieces_goes_on_where_it_broke_off(
    gcs: Gcs, storage: GcsStorage, how: str
) -> None:
    for _ in range(2):
        gcs.trouble("PUT piece", how)
    generation = storage.write("big", io.BytesIO(LARGE), if_generation=0)
    assert storage.read("big").data == LARGE
    assert generation == gcs.bucket.objects["big"].generation
    assert gcs.kinds().count("POST resumable") == 1


def test_an_upload_of_which_less_was_taken_than_sent_is_an_error_and_no_object(
    gcs: Gcs, storage: GcsStorage
) -> None:
    gcs.trouble("PUT piece", "short")
    with pytest.raises(StorageError, match="big: the upload broke off"):
        storage.write("big", io.BytesIO(LARGE))
    assert storage.generation("big") == 0
    storage.write("big", io.BytesIO(LARGE))
    assert storage.read("big").data == LARGE


def test_the_last_answer_of_an_upload_in_pieces_may_be_lost(gcs: Gcs, storage: GcsStorage) -> None:
    def last(call: Call) -> None:
        if call.headers.get("content-range", "").endswith(str(len(LARGE))):
            gcs.meanwhile = lambda _: None
            gcs.trouble("PUT piece", "lose")

    gcs.meanwhile = last
    generation = storage.write("big", io.BytesIO(LARGE), if_generation=0)
    assert generation == gcs.bucket.objects["big"].generation


def test_of_two_large_writes_the_one_that_ends_later_is_told(gcs: Gcs, storage: GcsStorage) -> None:
    def between(call: Call) -> None:
        if call.kind == "PUT piece" and "big" not in gcs.bucket.objects:
            gcs.bucket.put({"name": "big"}, b"first", {})

    gcs.meanwhile = between
    with pytest.raises(Changed, match="big"):
        storage.write("big", io.BytesIO(LARGE), if_generation=0)
    assert storage.read("big").data == b"first"


def test_a_large_reader_keeps_its_generation_where_the_bucket_keeps_versions(
    gcs: Gcs, storage: GcsStorage
) -> None:
    gcs.bucket.versions = True
    storage.write("big", LARGE)
    with storage.open("big") as stream:
        storage.write("big", b"new")
        assert stream.read() == LARGE


def test_a_large_reader_is_told_where_its_generation_is_gone(storage: GcsStorage) -> None:
    storage.write("big", LARGE)
    with storage.open("big") as stream:
        assert stream.read(10) == LARGE[:10]
        storage.write("big", LARGE[::-1])
        with pytest.raises(Changed, match="replaced meanwhile"):
            stream.read()


def test_a_large_object_that_is_replaced_while_it_is_opened_is_opened_anew(
    gcs: Gcs, storage: GcsStorage
) -> None:
    storage.write("big", LARGE)

    def between(call: Call) -> None:
        if call.kind == "GET":
            gcs.meanwhile = lambda _: None
            gcs.bucket.put({"name": "big"}, b"new", {})

    gcs.meanwhile = between
    with storage.open("big") as stream:
        assert stream.read() == b"new"


def test_a_large_object_whose_bytes_change_on_their_way_is_refused(
    gcs: Gcs, storage: GcsStorage
) -> None:
    storage.write("big", LARGE)
    with storage.open("big") as stream:
        gcs.trouble("GET media", "spoil")
        with pytest.raises(StorageError, match="checksum"):
            stream.read()


def test_a_listing_has_many_pages_and_passes_over_foreign_names(gcs: Gcs) -> None:
    names = [f"raw/{number:05d}" for number in range(2500)]
    for name in (*names, "raw/", "raw/.keep"):
        gcs.bucket.put({"name": name}, b"", {})
    with closing(GcsStorage(gcs.bucket.name, project="p")) as storage:
        assert [listed.name for listed in storage.list("raw/")] == names
    assert len(gcs.calls) == 3


def test_a_server_without_generations_is_refused(gcs: Gcs, storage: GcsStorage) -> None:
    storage.write("a", b"one")
    with pytest.raises(StorageError, match="generation"):
        _without_generation(gcs, storage)


def _without_generation(gcs: Gcs, storage: GcsStorage) -> None:
    kept = gcs.bucket.objects["a"]
    object.__setattr__(kept, "generation", 0)
    storage.generation("a")
