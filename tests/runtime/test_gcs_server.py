"""Our small Cloud Storage itself, where the contract of storage does not reach it."""

import http.client
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from gcs_server import Gcs, serving

STEP = 256 << 10
OBJECT = "/storage/v1/b/weather/o/a"
UPLOAD = "/upload/storage/v1/b/weather/o?uploadType=resumable&name=a"


class Asker:
    """One connection to the server; gives status, headers and body."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=5)

    def __call__(
        self, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, dict[str, str], bytes]:
        named = {name.replace("_", "-"): text for name, text in headers.items()}
        self._connection.request(method, path, body, named)
        answer = self._connection.getresponse()
        told = {name.lower(): text for name, text in answer.getheaders()}
        return answer.status, told, answer.read()

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def gcs() -> Iterator[Gcs]:
    with serving() as server:
        yield server


@pytest.fixture
def ask(gcs: Gcs) -> Iterator[Asker]:
    asker = Asker(gcs.url)
    yield asker
    asker.close()


def put(gcs: Gcs, content: bytes = b"0123456789", **query: Any) -> int:
    given = {name: str(value) for name, value in query.items()}
    return gcs.bucket.put({"name": "a"}, content, given).generation


def test_generations_are_microseconds_that_grow(gcs: Gcs) -> None:
    made = [put(gcs) for _ in range(100)]
    assert made == sorted(set(made))
    assert len(str(made[0])) == 16


def test_bytes_come_with_generation_and_checksums(gcs: Gcs, ask: Asker) -> None:
    generation = put(gcs, b"123456789")
    status, headers, body = ask("GET", f"{OBJECT}?alt=media")
    assert (status, body) == (200, b"123456789")
    assert headers["x-goog-generation"] == str(generation)
    # CRC-32C of 123456789 is E3069283, the check value of its definition
    assert headers["x-goog-hash"] == "crc32c=4waSgw==,md5=JfnnlDI7RTiF9RgfG2JNCw=="


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ("bytes=0-3", (206, "bytes 0-3/10", b"0123")),
        ("bytes=8-99", (206, "bytes 8-9/10", b"89")),
        ("bytes=5-", (206, "bytes 5-9/10", b"56789")),
    ],
)
def test_ranges(gcs: Gcs, ask: Asker, asked: str, expected: tuple[int, str, bytes]) -> None:
    put(gcs)
    status, headers, body = ask("GET", f"/download{OBJECT}?alt=media", Range=asked)
    assert (status, headers["content-range"], body) == expected


def test_a_range_behind_the_end_is_refused(gcs: Gcs, ask: Asker) -> None:
    put(gcs)
    assert ask("GET", f"{OBJECT}?alt=media", Range="bytes=10-12")[0] == 416


@pytest.mark.parametrize(
    ("condition", "status"),
    [
        ("ifGenerationMatch={0}", 200),
        ("ifGenerationMatch=5", 412),
        ("ifGenerationNotMatch={0}", 304),
        ("ifGenerationNotMatch=5", 200),
        ("ifMetagenerationMatch=1", 200),
        ("ifMetagenerationMatch=2", 412),
        ("generation={0}", 200),
        ("generation=5", 404),
    ],
)
def test_conditions_of_a_reader(gcs: Gcs, ask: Asker, condition: str, status: int) -> None:
    generation = put(gcs)
    assert ask("GET", f"{OBJECT}?{condition.format(generation)}")[0] == status
    assert ask("GET", f"{OBJECT}?alt=media&{condition.format(generation)}")[0] == status


def test_conditions_of_a_deletion(gcs: Gcs, ask: Asker) -> None:
    generation = put(gcs)
    assert ask("DELETE", f"{OBJECT}?ifGenerationMatch=5")[0] == 412
    assert ask("DELETE", f"{OBJECT}?ifGenerationMatch={generation}")[0] == 204
    assert ask("DELETE", OBJECT)[0] == ask("GET", OBJECT)[0] == 404


def test_an_upload_in_pieces_tells_what_it_has_and_goes_on(gcs: Gcs, ask: Asker) -> None:
    content = bytes(range(256)) * 3000
    begun = ask("POST", f"{UPLOAD}&ifGenerationMatch=0", b"{}")
    where = begun[1]["location"].removeprefix(gcs.url)
    size = len(content)
    assert ask("PUT", where, Content_Range=f"bytes */{size}")[:1] == (308,)
    first = ask("PUT", where, content[:STEP], Content_Range=f"bytes 0-{STEP - 1}/*")
    assert (first[0], first[1]["range"]) == (308, f"bytes=0-{STEP - 1}")
    again = ask("PUT", where, content[:STEP], Content_Range=f"bytes 0-{STEP - 1}/*")
    assert again[1]["range"] == f"bytes=0-{STEP - 1}"
    gap = ask("PUT", where, content[-5:], Content_Range=f"bytes {size - 5}-{size - 1}/{size}")
    assert gap[0] == 400
    last = ask("PUT", where, content[STEP:], Content_Range=f"bytes {STEP}-{size - 1}/{size}")
    assert last[0] == 200
    assert json.loads(last[2])["size"] == str(size)
    assert gcs.bucket.objects["a"].data == content
    asked_again = ask("PUT", where, Content_Range=f"bytes */{size}")
    assert json.loads(asked_again[2])["generation"] == json.loads(last[2])["generation"]


def test_an_upload_in_pieces_asks_its_condition_again_at_its_end(gcs: Gcs, ask: Asker) -> None:
    begun = ask("POST", f"{UPLOAD}&ifGenerationMatch=0", b"{}")
    put(gcs, b"first")
    where = begun[1]["location"].removeprefix(gcs.url)
    assert ask("PUT", where, b"second", Content_Range="bytes 0-5/6")[0] == 412
    assert ask("POST", f"{UPLOAD}&ifGenerationMatch=0", b"{}")[0] == 412
    assert gcs.bucket.objects["a"].data == b"first"


def test_a_listing_goes_on_where_its_page_ended(gcs: Gcs, ask: Asker) -> None:
    for name in ("raw/c", "raw/a", "raw/b", "other"):
        gcs.bucket.put({"name": name}, b"", {})
    path = "/storage/v1/b/weather/o?prefix=raw/&maxResults=2"
    first = json.loads(ask("GET", path)[2])
    assert [item["name"] for item in first["items"]] == ["raw/a", "raw/b"]
    second = json.loads(ask("GET", f"{path}&pageToken={first['nextPageToken']}")[2])
    assert [item["name"] for item in second["items"]] == ["raw/c"]
    assert "nextPageToken" not in second


def test_another_bucket_is_not_there(ask: Asker) -> None:
    status, _, body = ask("GET", "/storage/v1/b/other/o/a")
    assert status == 404
    assert b"bucket does not exist" in body


def test_what_is_not_signed_is_refused(ask: Asker) -> None:
    assert ask("PUT", "/weather/uploads/a", b"x")[0] == 403
