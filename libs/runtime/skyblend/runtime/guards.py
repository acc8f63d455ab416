"""Guards in front of every endpoint: pure functions over header values, for Flask and for bare WSGI
alike."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from skyblend.runtime.health import is_probe
from skyblend.runtime.tokens import is_shown

if TYPE_CHECKING:
    from skyblend.runtime.access import Access

PROBLEM = "application/problem+json"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
READS = frozenset({"GET", "HEAD", "OPTIONS"})
_PIECE = 1 << 16


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that ends a request; `title` is for programs, `detail` for people."""

    status: int
    title: str
    detail: str


class Asking(Protocol):
    """A request as Flask has it; `headers` has `get(name, default)` and `in`."""

    @property
    def method(self) -> str: ...

    @property
    def path(self) -> str: ...

    @property
    def headers(self) -> "Any": ...


class Refused(Exception):
    """Raised where a value is expected and the request is refused instead."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.detail)
        self.refusal = refusal


def problem(refusal: Refusal) -> tuple[bytes, int, dict[str, str]]:
    """Body, status and headers of a refusal as problem+json (RFC 9457); Flask takes the tuple as it
    is."""
    status = HTTPStatus(refusal.status)
    body = {
        "type": "about:blank",
        "title": refusal.title,
        "status": status.value,
        "detail": refusal.detail,
    }
    headers = {"Content-Type": PROBLEM}
    if status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    return json.dumps(body).encode(), status.value, headers


def host_name(header: str) -> str:
    """The name in a Host header, lower case, without port and brackets: `[::1]:8080` is `::1`."""
    if header.startswith("["):
        name, closed, rest = header[1:].partition("]")
        return name.lower() if closed and (not rest or rest.startswith(":")) else ""
    name, _, port = header.partition(":")
    return name.lower() if not port or port.isdecimal() else ""


def address(host: str, port: int) -> str:
    """The base URL of a host and port; an IPv6 address stands in brackets."""
    return f"http://{bracketed(host)}:{port}"


def bracketed(host: str) -> str:
    """A host as it stands before a port: `[::1]`, `localhost`."""
    return f"[{host}]" if ":" in host else host


def check_host(header: str, allowed: Iterable[str] = ()) -> Refusal | None:
    """A web page elsewhere can point its own name at 127.0.0.1; such a request carries that name
    and is refused."""
    name = host_name(header)
    if name in LOOPBACK or (name and name in {host.lower() for host in allowed}):
        return None
    return Refusal(
        421,
        "wrong host",
        "the Host header names a host that is not served here; SKYBLEND_ALLOWED_HOSTS lists more",
    )


def check_read(host: str, *, access: "Access", allowed: Collection[str] = ()) -> Refusal | None:
    """The guard of a request that only reads: its Host header. Where access allows any name, a
    list of hosts that somebody wrote holds all the same."""
    return None if access.any_host and not allowed else check_host(host, allowed)


def check_token(header: str, token: str) -> Refusal | None:
    """Whatever changes something shows the token."""
    if is_shown(header, token):
        return None
    return Refusal(
        401,
        "not authorised",
        "expected the header Authorization: Bearer with the token of the data folder",
    )


def check_content_type(header: str, expected: str) -> Refusal | None:
    """A form of a web page cannot send application/json or application/octet-stream."""
    if header.partition(";")[0].strip().lower() == expected:
        return None
    return Refusal(
        415, "wrong content type", f"expected content type {expected}, got {header[:80] or 'none'}"
    )


def check_post(
    headers: "Any",
    *,
    access: "Access",
    allowed: Collection[str] = (),
    expected: str = "application/json",
) -> Refusal | None:
    """All guards of a POST; `headers` has `get(name, default)` (Flask's request.headers, a dict in
    a test)."""
    return (
        check_read(headers.get("Host", ""), access=access, allowed=allowed)
        or access.refuse(headers)
        or check_content_type(headers.get("Content-Type", ""), expected)
    )


def check_request(
    request: "Asking",
    *,
    access: "Access",
    allowed: Collection[str] = (),
    expected: str = "application/json",
) -> Refusal | None:
    """All guards of a request, asked before it is routed: a method that is not known to read may
    change something, so that no new route is open by oversight. A probe passes none."""
    if is_probe(request.method, request.path):
        return None
    headers = request.headers
    if request.method in READS:
        return check_read(headers.get("Host", ""), access=access, allowed=allowed)
    return check_post(headers, access=access, allowed=allowed, expected=expected)


def read_body(stream: BinaryIO, limit: int, *, length: int | None = None) -> bytes:
    """The body of a request, at most `limit` bytes; `length` is what Content-Length states. Raises
    Refused with 413 or 400."""
    if length is not None and length > limit:
        raise Refused(_too_large(limit))
    pieces, size = [], 0
    while piece := stream.read(min(_PIECE, limit + 1 - size)):
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            raise Refused(_too_large(limit))
    if length is not None and size != length:
        raise Refused(Refusal(400, "body cut short", f"expected {length} bytes, got {size}"))
    return b"".join(pieces)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "too large", f"at most {limit} bytes are accepted")
