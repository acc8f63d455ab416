"""A small Cloud Storage on loopback for the real client: the part of its JSON API that the client
uses, the signed requests of its XML API, and trouble on demand."""

import email
import json
import re
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from gcs_bucket import STEP, Bucket, Object, Query, Refused

_PAGE = 1000


@dataclass(frozen=True)
class Call:
    """A request as it arrived: `GET`, `GET media`, `GET list`, `POST multipart`, `PUT piece` ..."""

    kind: str
    name: str
    query: Query = field(hash=False)
    headers: dict[str, str] = field(hash=False)


@dataclass(frozen=True)
class Trouble:
    """What goes wrong with the next call of a kind.

    refuse: answered with `status`, without effect. lose: the effect stands, the answer does not
    arrive. cut: half of the answer's bytes arrive. stop: an upload's piece is half taken, and the
    connection breaks. short: it is half taken, and the answer says so.
    spoil: the answer's bytes are other than those stored."""

    kind: str
    how: str
    status: int = 503


@dataclass
class Gcs:
    """The server: its bucket, what was asked of it, and the trouble that is still to come. `signed`
    judges requests with a signature; without it they are refused."""

    bucket: Bucket
    url: str = ""
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    troubles: deque[Trouble] = field(default_factory=deque)
    signed: Callable[[str, str, dict[str, str]], str | None] = lambda *_: "no key is known"
    meanwhile: Callable[[Call], None] = lambda _: None
    lock: Lock = field(default_factory=Lock)

    def kinds(self) -> list[str]:
        """What was asked, in order."""
        return [call.kind for call in self.calls]

    def trouble(self, kind: str, how: str, *, times: int = 1, status: int = 503) -> None:
        """Have the next calls of a kind go wrong."""
        self.troubles.extend([Trouble(kind, how, status)] * times)

    def note(self, call: Call) -> Trouble | None:
        with self.lock:
            self.calls.append(call)
            found = next((one for one in self.troubles if one.kind == call.kind), None)
            if found is not None:
                self.troubles.remove(found)
        self.meanwhile(call)
        return found


@contextmanager
def serving(bucket: Bucket | None = None) -> Iterator[Gcs]:
    """Serve a bucket on a free port."""
    gcs = Gcs(bucket or Bucket())

    class Handler(_Handler):
        server_gcs = gcs

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        gcs.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        yield gcs
        server.shutdown()
        thread.join()


@dataclass
class Answer:
    """Status, headers and bytes."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


Route = tuple[str, str, Callable[[], Answer]]  # kind of the call, name of the object, its answer


@dataclass(frozen=True)
class Asked:
    """A request: method, path with query, and what came with them."""

    method: str
    target: str
    query: Query
    headers: dict[str, str]
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path


class _Handler(BaseHTTPRequestHandler):
    server_gcs: Gcs
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""

    def setup(self) -> None:
        super().setup()
        with self.server_gcs.lock:
            self.server_gcs.connections += 1

    def _serve(self) -> None:
        asked = self._asked()
        call, act = _route(self.server_gcs, asked)
        trouble = self.server_gcs.note(call)
        how = trouble.how if trouble else ""
        if trouble is not None and how == "refuse":
            self._answer(_problem(Refused(trouble.status, "trouble on demand")))
            return
        if how in ("stop", "short"):
            asked = _halved(asked)
            act = _route(self.server_gcs, asked)[1]
        answer = _tried(act)
        if how in ("lose", "stop"):
            self.close_connection = True
            return
        if how == "spoil":
            answer.body = bytes(byte ^ 1 for byte in answer.body[:1]) + answer.body[1:]
        self._answer(answer, half=how == "cut")

    def _asked(self) -> Asked:
        query = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        return Asked(self.command, self.path, query, headers, body)

    do_GET = do_POST = do_PUT = do_DELETE = _serve  # noqa: N815 - http.server's names

    def _answer(self, answer: Answer, *, half: bool = False) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) // 2] if half else answer.body)
        self.close_connection = self.close_connection or half


def _tried(act: Callable[[], Answer]) -> Answer:
    try:
        return act()
    except Refused as refused:
        return _problem(refused)


def _problem(refused: Refused) -> Answer:
    error = {"code": refused.status, "message": refused.message}
    body = b"" if refused.status == 304 else json.dumps({"error": error}).encode()
    return Answer(refused.status, body, {"Content-Type": "application/json"})


def _route(gcs: Gcs, asked: Asked) -> tuple[Call, Callable[[], Answer]]:
    """What a request is, and how it is answered."""
    for form, answered in _FORMS:
        if found := form.fullmatch(asked.path):
            kind, name, act = answered(gcs, asked, *map(unquote, found.groups()[1:]))
            call = Call(kind, name, asked.query, asked.headers)
            return call, act if unquote(found[1]) == gcs.bucket.name else _no_bucket
    raise AssertionError(f"unknown request: {asked.method} {asked.path}")


def _no_bucket() -> Answer:
    raise Refused(404, "The specified bucket does not exist.")


def _of_object(gcs: Gcs, asked: Asked, name: str) -> Route:
    if asked.method == "DELETE":
        return "DELETE", name, lambda: _deleted(gcs.bucket, name, asked.query)
    if asked.query.get("alt") == "media":
        ends = asked.headers.get("range")
        return "GET media", name, lambda: _media(gcs.bucket.get(name, asked.query), ends)
    return "GET", name, lambda: _told(gcs, gcs.bucket.get(name, asked.query))


def _deleted(bucket: Bucket, name: str, query: Query) -> Answer:
    bucket.delete(name, query)
    return Answer(204)


def _media(found: Object, asked: str | None) -> Answer:
    headers = {
        "Content-Type": found.content_type,
        "x-goog-generation": str(found.generation),
        "x-goog-metageneration": str(found.metageneration),
        "x-goog-hash": f"crc32c={found.crc32c},md5={found.md5}",
        "x-goog-stored-content-length": str(len(found.data)),
    }
    if asked is None:
        return Answer(200, found.data, headers)
    ends = re.fullmatch(r"bytes=(\d+)-(\d*)", asked)
    assert ends, asked
    start, last = int(ends[1]), min(int(ends[2] or 1 << 62), len(found.data) - 1)
    if start >= len(found.data):
        raise Refused(416, "The requested range cannot be satisfied.")
    headers["Content-Range"] = f"bytes {start}-{last}/{len(found.data)}"
    return Answer(206, found.data[start : last + 1], headers)


def _told(gcs: Gcs, found: Object, status: int = 200) -> Answer:
    headers = {
        "Content-Type": "application/json",
        "x-goog-hash": f"crc32c={found.crc32c},md5={found.md5}",
    }
    return Answer(status, json.dumps(resource_of(gcs.bucket, found)).encode(), headers)


def resource_of(bucket: Bucket, found: Object) -> dict[str, Any]:
    """The object resource as the JSON API tells it; numbers of 64 bits are texts there."""
    return {
        "kind": "storage#object",
        "id": f"{bucket.name}/{found.name}/{found.generation}",
        "name": found.name,
        "bucket": bucket.name,
        "generation": str(found.generation),
        "metageneration": str(found.metageneration),
        "contentType": found.content_type,
        "size": str(len(found.data)),
        "md5Hash": found.md5,
        "crc32c": found.crc32c,
        "metadata": found.metadata,
    }


def _of_list(gcs: Gcs, asked: Asked) -> Route:
    return "GET list", asked.query.get("prefix", ""), lambda: _listed(gcs.bucket, asked.query)


def _listed(bucket: Bucket, query: Query) -> Answer:
    prefix, after = query.get("prefix", ""), query.get("pageToken", "")
    most = min(int(query.get("maxResults", _PAGE)), _PAGE)
    with bucket.lock:
        names = sorted(n for n in bucket.objects if n.startswith(prefix) and n > after)
        page = [resource_of(bucket, bucket.objects[name]) for name in names[:most]]
    said: dict[str, Any] = {"kind": "storage#objects", "items": page}
    if len(names) > most:
        said["nextPageToken"] = names[most - 1]
    return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/json"})


def _of_upload(gcs: Gcs, asked: Asked) -> Route:
    query, bucket = asked.query, gcs.bucket
    if asked.method == "PUT":
        return "PUT piece", query["upload_id"], lambda: _piece(gcs, asked)
    kind = f"POST {query['uploadType']}"
    if kind == "POST multipart":
        resource, content = _parts(asked.headers["content-type"], asked.body)
        return kind, resource["name"], lambda: _told(gcs, bucket.put(resource, content, query))
    resource = json.loads(asked.body or b"{}")
    resource.setdefault("name", query.get("name"))
    return kind, resource["name"], lambda: _begun(gcs, resource, query)


def _parts(content_type: str, body: bytes) -> tuple[dict[str, Any], bytes]:
    """Metadata and bytes of a multipart upload."""
    boundary = email.message_from_string(f"Content-Type: {content_type}\n\n").get_boundary()
    assert boundary
    first, second = body.split(b"--" + boundary.encode())[1:3]
    described = json.loads(first.split(b"\r\n\r\n", 1)[1])
    return described, second.split(b"\r\n\r\n", 1)[1].removesuffix(b"\r\n")


def _begun(gcs: Gcs, resource: dict[str, Any], query: Query, most: int | None = None) -> Answer:
    id_ = gcs.bucket.begin(resource, query, most)
    where = (
        f"{gcs.url}/upload/storage/v1/b/{gcs.bucket.name}/o?uploadType=resumable&upload_id={id_}"
    )
    return Answer(200, headers={"Location": where})


def _piece(gcs: Gcs, asked: Asked) -> Answer:
    start, total = _range(asked.headers, len(asked.body))
    id_ = asked.query["upload_id"]
    done = gcs.bucket.append(id_, start, asked.body, total)
    if done is not None:
        if (hashed := asked.headers.get("x-goog-hash")) and hashed != f"crc32c={done.crc32c}":
            raise Refused(400, "the checksum does not match")
        return _told(gcs, done)
    there = len(gcs.bucket.sessions[id_].data)
    return Answer(308, headers={"Range": f"bytes=0-{there - 1}"} if there else {})


def _range(headers: dict[str, str], length: int) -> tuple[int | None, int | None]:
    """Where a piece begins, and how long the whole is, as far as it is told."""
    told = headers.get("content-range")
    if told is None:
        return 0, length
    found = re.fullmatch(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)", told)
    assert found, told
    total = None if found[2] == "*" else int(found[2])
    return (None if found[1] is None else int(found[1])), total


def _halved(asked: Asked) -> Asked:
    """The first half of a piece, in whole steps, as when a connection breaks."""
    half = asked.body[: len(asked.body) // 2 // STEP * STEP]
    start, _ = _range(asked.headers, len(asked.body))
    where = f"bytes {start}-{(start or 0) + len(half) - 1}/*" if half else "bytes */*"
    return replace(asked, body=half, headers={**asked.headers, "content-range": where})


def _of_signed(gcs: Gcs, asked: Asked, name: str) -> Route:
    return f"{asked.method} signed", name, lambda: _signed(gcs, asked, name)


def _signed(gcs: Gcs, asked: Asked, name: str) -> Answer:
    if (reason := gcs.signed(asked.method, asked.target, asked.headers)) is not None:
        raise Refused(403, reason)
    bounds = asked.headers.get("x-goog-content-length-range", "0,5000000")
    least, most = map(int, bounds.split(","))
    if asked.method == "POST" and asked.headers.get("x-goog-resumable") == "start":
        begun = _begun(gcs, {"name": name}, {}, most)
        return Answer(201, headers=begun.headers)
    if not least <= len(asked.body) <= most:
        raise Refused(400, f"expected {least} to {most} bytes, got {len(asked.body)}")
    made = gcs.bucket.put({"name": name}, asked.body, {})
    return Answer(200, headers={"x-goog-generation": str(made.generation)})


# Form of a path, with the bucket in its first group, and what answers it.
_FORMS: tuple[tuple[re.Pattern[str], Callable[..., Route]], ...] = (
    (re.compile(r"(?:/download)?/storage/v1/b/([^/]+)/o/(.+)"), _of_object),
    (re.compile(r"/storage/v1/b/([^/]+)/o"), _of_list),
    (re.compile(r"/(?:resumable/)?upload/storage/v1/b/([^/]+)/o"), _of_upload),
    (re.compile(r"/([^/]+)/(.+)"), _of_signed),
)
