"""Guards: whose Host, token, content type and body are let in."""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from skyblend.runtime.access import TokenAccess
from skyblend.runtime.guards import (
    Refusal,
    Refused,
    address,
    check_content_type,
    check_host,
    check_post,
    check_read,
    check_request,
    check_token,
    host_name,
    problem,
    read_body,
)

HEADERS = {
    "Host": "127.0.0.1:8080",
    "Authorization": "Bearer s",
    "Content-Type": "application/json",
}


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8080", "localhost:1", "LOCALHOST", "[::1]", "[::1]:8080"]
)
def test_loopback_hosts_are_let_in(host: str) -> None:
    assert check_host(host) is None


@pytest.mark.parametrize(
    "host",
    ["", "evil.example", "evil.example:8080", "127.0.0.1.evil.example", "localhost@evil.example",
     "localhost:8080@evil.example", "[::1", "[::1]x", "127.0.0.2", "localhost.", "0.0.0.0", "::1"],
)  # fmt: skip
def test_other_hosts_are_refused_with_421(host: str) -> None:
    refusal = check_host(host)
    assert refusal is not None
    assert refusal.status == 421


def test_hosts_of_the_settings_are_let_in() -> None:
    assert check_host("Sky.lan:80", ("sky.lan",)) is None
    assert check_host("other.lan", ("sky.lan",)) is not None
    assert check_host("", ("",)) is not None


def test_the_token_is_asked_for() -> None:
    assert check_token("Bearer s", "s") is None
    for header in ("", "Bearer t", "Bearer ", "s"):
        refusal = check_token(header, "s")
        assert refusal is not None
        assert refusal.status == 401


def test_an_empty_token_lets_nobody_in() -> None:
    assert check_token("Bearer ", "") is not None


@pytest.mark.parametrize("header", ["application/json", "Application/JSON; charset=utf-8"])
def test_json_is_let_in(header: str) -> None:
    assert check_content_type(header, "application/json") is None


@pytest.mark.parametrize(
    "header", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; a=b"]
)
def test_what_a_form_can_send_is_refused_with_415(header: str) -> None:
    refusal = check_content_type(header, "application/json")
    assert refusal is not None
    assert refusal.status == 415


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Host": "evil.example"}, 421),
        ({"Authorization": ""}, 401),
        ({"Content-Type": "text/plain"}, 415),
        ({"Host": "evil.example", "Authorization": "", "Content-Type": ""}, 421),
    ],
)
def test_all_guards_of_a_post(changed: dict[str, str], status: int) -> None:
    assert check_post(HEADERS, access=TokenAccess("s")) is None
    refusal = check_post(HEADERS | changed, access=TokenAccess("s"))
    assert refusal is not None
    assert refusal.status == status


def test_a_body_up_to_the_limit_is_read() -> None:
    assert read_body(io.BytesIO(b"12345"), 5) == b"12345"
    assert read_body(io.BytesIO(b"12345"), 5, length=5) == b"12345"
    assert read_body(io.BytesIO(b""), 0) == b""


def test_a_larger_body_is_refused_and_not_read_on() -> None:
    stream = io.BytesIO(b"x" * 1000)
    with pytest.raises(Refused) as refused:
        read_body(stream, 10)
    assert refused.value.refusal.status == 413
    assert stream.tell() == 11
    with pytest.raises(Refused):
        read_body(stream, 10, length=11)
    assert stream.tell() == 11


def test_a_body_that_ends_early_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        read_body(io.BytesIO(b"123"), 10, length=5)
    assert refused.value.refusal == Refusal(400, "body cut short", "expected 5 bytes, got 3")


def test_a_refusal_as_problem_json() -> None:
    body, status, headers = problem(Refusal(401, "not authorised", "expected a token"))
    assert (status, headers["Content-Type"]) == (401, "application/problem+json")
    assert headers["WWW-Authenticate"] == "Bearer"
    assert json.loads(body) == {
        "type": "about:blank", "title": "not authorised", "status": 401,
        "detail": "expected a token",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("host", "url"),
    [("::1", "http://[::1]:8080"), ("127.0.0.1", "http://127.0.0.1:8080")],
)
def test_an_ipv6_address_stands_in_brackets(host: str, url: str) -> None:
    assert address(host, 8080) == url
    assert host_name(url.removeprefix("http://")) == host


class AnyHost:
    """Access that lets everybody in, by any name."""

    any_host = True

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        return None


def test_reading_asks_for_the_host_where_a_name_could_lead_to_this_machine() -> None:
    assert check_read("evil.example", access=TokenAccess("s")) is not None
    assert check_read("127.0.0.1:1", access=TokenAccess("s")) is None
    assert check_read("x.run.app", access=AnyHost()) is None
    assert check_read("x.run.app", access=AnyHost(), allowed=("sky.lan",)) is not None
    assert check_read("sky.lan", access=AnyHost(), allowed=("sky.lan",)) is None


@dataclass
class Request:
    method: str
    headers: Mapping[str, str] = field(default_factory=lambda: {"Host": "localhost"})
    path: str = "/v1/places"


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "TRACE", "get", "X"])
def test_a_method_that_is_not_known_to_read_shows_the_credential(method: str) -> None:
    access = TokenAccess("s")
    refusal = check_request(Request(method), access=access)
    assert refusal is not None
    assert refusal.status == 401
    assert check_request(Request(method, HEADERS), access=access) is None


def test_a_probe_comes_from_the_machine_that_runs_us_by_whatever_name() -> None:
    access = TokenAccess("s")
    for path, status in (("/health", None), ("/ready", None), ("/metrics", 421), ("/ready/", 421)):
        refusal = check_request(Request("GET", {"Host": "10.0.0.1"}, path), access=access)
        assert (refusal.status if refusal else None) == status
    assert check_request(Request("POST", path="/health"), access=access) is not None


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_shows_none(method: str) -> None:
    assert check_request(Request(method), access=TokenAccess("s")) is None
