"""A bucket as Cloud Storage keeps it: generations, preconditions, uploads in pieces. Behind
`gcs_server`, which speaks its API."""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field
from functools import cached_property
from threading import RLock
from typing import Any

import google_crc32c

Query = dict[str, str]
STEP = 256 << 10  # bytes: an upload that breaks off keeps multiples of it


class Refused(Exception):
    """An answer other than success: status and words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Object:
    """One generation of an object."""

    name: str
    data: bytes
    generation: int
    metadata: dict[str, str]
    content_type: str = "application/octet-stream"
    metageneration: int = 1

    @cached_property
    def crc32c(self) -> str:
        return _base64(google_crc32c.value(self.data).to_bytes(4, "big"))

    @cached_property
    def md5(self) -> str:
        return _base64(hashlib.md5(self.data, usedforsecurity=False).digest())


@dataclass
class Session:
    """An upload in pieces: what it is to become, and what is there of it."""

    resource: dict[str, Any]
    query: Query
    most: int | None = None
    data: bytearray = field(default_factory=bytearray)
    done: Object | None = None


@dataclass
class Bucket:
    """The objects of one bucket; with `versions` replaced generations can still be read."""

    name: str = "weather"
    versions: bool = False
    objects: dict[str, Object] = field(default_factory=dict)
    replaced: dict[tuple[str, int], Object] = field(default_factory=dict)
    sessions: dict[str, Session] = field(default_factory=dict)
    lock: RLock = field(default_factory=RLock)
    last: int = 0

    def get(self, name: str, query: Query) -> Object:
        """The object, or one generation of it; raises Refused with 404, 412, 304."""
        with self.lock:
            found = self.objects.get(name)
            wanted = query.get("generation")
            if wanted and (found is None or found.generation != int(wanted)):
                found = self.replaced.get((name, int(wanted)))
            if found is None:
                raise Refused(404, f"No such object: {self.name}/{name}")
            expect(found, query, reading=True)
            return found

    def put(self, resource: dict[str, Any], data: bytes, query: Query) -> Object:
        """Write an object where its preconditions hold and its checksums are those of the bytes."""
        with self.lock:
            name = str(resource["name"])
            expect(self.objects.get(name), query, reading=False)
            made = Object(
                name,
                data,
                self._next(),
                dict(resource.get("metadata", {})),
                str(resource.get("contentType", "application/octet-stream")),
            )
            _compare("crc32c", resource.get("crc32c"), made.crc32c)
            _compare("md5Hash", resource.get("md5Hash"), made.md5)
            self._retire(name)
            self.objects[name] = made
            return made

    def delete(self, name: str, query: Query) -> None:
        with self.lock:
            self.get(name, {})
            expect(self.objects[name], query, reading=False)
            self._retire(name)

    def begin(self, resource: dict[str, Any], query: Query, most: int | None = None) -> str:
        """Begin an upload in pieces; its preconditions are asked now and again at its end."""
        with self.lock:
            expect(self.objects.get(str(resource["name"])), query, reading=False)
            id_ = secrets.token_hex(8)
            self.sessions[id_] = Session(resource, query, most)
            return id_

    def append(self, id_: str, start: int | None, data: bytes, total: int | None) -> Object | None:
        """Take a piece; gives the object when it is whole. Bytes that are there are passed over,
        and a finished upload answers as it did."""
        with self.lock:
            session = self.sessions.get(id_)
            if session is None:
                raise Refused(410, "the upload session is gone")
            if session.done is not None:
                return session.done
            if start is not None:
                self._take(session, start, data)
            if total is None or len(session.data) != total:
                return None
            session.done = self.put(session.resource, bytes(session.data), session.query)
            session.data.clear()
            return session.done

    def _take(self, session: Session, start: int, data: bytes) -> None:
        there = len(session.data)
        if start > there:
            raise Refused(400, f"expected bytes from {there}, got them from {start}")
        session.data += data[there - start :]
        if session.most is not None and len(session.data) > session.most:
            raise Refused(400, f"expected at most {session.most} bytes")

    def _retire(self, name: str) -> None:
        before = self.objects.pop(name, None)
        if before is not None and self.versions:
            self.replaced[name, before.generation] = before

    def _next(self) -> int:
        self.last = max(self.last + 1, time.time_ns() // 1000)
        return self.last


def expect(found: Object | None, query: Query, *, reading: bool) -> None:
    """Raise 412 where a precondition does not hold, 304 where a reader has what is there."""
    generation = found.generation if found else 0
    metageneration = found.metageneration if found else 0
    for field_, there in (("Generation", generation), ("Metageneration", metageneration)):
        wanted, unwanted = query.get(f"if{field_}Match"), query.get(f"if{field_}NotMatch")
        if wanted is not None and int(wanted) != there:
            raise Refused(412, "At least one of the pre-conditions you specified did not hold.")
        if unwanted is not None and int(unwanted) == there:
            raise Refused(304 if reading else 412, "Not Modified")


def _compare(what: str, expected: str | None, got: str) -> None:
    if expected is not None and expected != got:
        raise Refused(400, f"Provided {what} {expected} doesn't match calculated {got}")


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
