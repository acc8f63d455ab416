"""Calls to providers, against a server on the loopback."""

import gzip
import logging
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from skyblend.runtime.http import Answer, Limits, Retry, Session, Unusable, redacted, retry_after

NOW = datetime(2026, 11, 20, 10, tzinfo=UTC)
Reply = Callable[[BaseHTTPRequestHandler], None]


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: clients hang up on purpose here."""


class Provider:
    """A server that gives the listed replies in turn, the last one for ever; `asked` are the
    paths."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        provider = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                provider.asked.append(self.path)
                provider.headers.append({k.lower(): v for k, v in self.headers.items()})
                replies = provider.replies
                (replies.pop(0) if len(replies) > 1 else replies[0])(self)

            def log_message(self, *_: Any) -> None:
                """Quiet."""

        self.server = QuietServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def reply(status: int = 200, body: bytes = b"{}", **headers: str) -> Reply:
    def send(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    return send


def cut(handler: BaseHTTPRequestHandler) -> None:
    """Announce more than is sent, and hang up."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b"only this")
    handler.close_connection = True


@pytest.fixture
def provider() -> Iterator[Provider]:
    provider = Provider()
    yield provider
    provider.close()


class Pauses(list[float]):
    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def session(pauses: Pauses) -> Iterator[Session]:
    limits = Limits(connect=5, read=5, deadline=20, size=10_000)
    session = Session(
        "skyblend-test (me@example.org)", limits=limits, pause=pauses, now=lambda: NOW
    )
    yield session
    session.close()


def test_an_answer_as_it_came(provider: Provider, session: Session) -> None:
    provider.replies = [reply(200, b'{"a": 1}', X_Model="m")]
    answer = session.get(
        f"{provider.url}/v1/forecast",
        {"latitude": "48.10,47.00", "apikey": "s3cret"},
        name="x 48.10,11.60",
        headers={"Accept": "application/json"},
        secrets={"apikey"},
    )
    assert (answer.status, answer.body, answer.received_at) == (200, b'{"a": 1}', NOW)
    assert answer.headers["x-model"] == "m"
    assert provider.asked == ["/v1/forecast?latitude=48.10,47.00&apikey=s3cret"]
    assert answer.url == f"{provider.url}/v1/forecast?latitude=48.10,47.00&apikey=***"
    assert provider.headers[0]["user-agent"] == "skyblend-test (me@example.org)"
    assert provider.headers[0]["accept"] == "application/json"


@pytest.mark.parametrize("status", [203, 304, 400, 401, 403, 404])
def test_an_error_of_ours_is_an_answer_and_not_tried_again(
    provider: Provider, session: Session, status: int
) -> None:
    provider.replies = [reply(status, b"" if status == 304 else b"no")]
    assert session.get(provider.url, name="x").status == status
    assert len(provider.asked) == 1


def test_what_answers_on_this_machine_is_asked_past_any_proxy(
    provider: Provider, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.delenv("no_proxy", raising=False)
    provider.replies = [reply(200, b"here")]
    assert session.get(provider.url, name="x").body == b"here"


@pytest.mark.parametrize("status", [501, 520, 529])
def test_trouble_of_any_kind_is_tried_again(
    provider: Provider, session: Session, status: int
) -> None:
    provider.replies = [reply(status, Retry_After="0"), reply(200, b"good")]
    assert session.get(provider.url, name="x").body == b"good"


def test_trouble_is_tried_again_after_growing_pauses(
    provider: Provider, session: Session, pauses: Pauses
) -> None:
    provider.replies = [reply(503, Retry_After="0"), cut, reply(200, b"good")]
    assert session.get(provider.url, name="x").body == b"good"
    assert pauses == [0.5, 1.0]


def test_a_short_retry_after_is_honoured_at_once(
    provider: Provider, session: Session, pauses: Pauses
) -> None:
    provider.replies = [reply(429, Retry_After="7"), reply(200, b"good")]
    assert session.get(provider.url, name="x").body == b"good"
    assert pauses == [7.0]


@pytest.mark.parametrize(
    ("headers", "after"),
    [
        ({"Retry_After": "120"}, 120.0),
        ({"Retry_After": "Fri, 20 Nov 2026 11:00:00 GMT"}, 3600.0),
        ({}, 60.0),
    ],
)
def test_a_longer_one_is_handed_to_the_caller(
    provider: Provider, session: Session, headers: dict[str, str], after: float
) -> None:
    provider.replies = [reply(429, **headers)]
    with pytest.raises(Retry) as refused:
        session.get(provider.url, name="x")
    assert (refused.value.after, refused.value.status) == (after, 429)
    assert len(provider.asked) == 1


def test_the_log_names_the_call_and_no_secret(
    provider: Provider, session: Session, caplog: pytest.LogCaptureFixture
) -> None:
    provider.replies = [reply(429)]
    with caplog.at_level(logging.DEBUG, "skyblend"), pytest.raises(Retry):
        session.get(provider.url, {"key": "s3cret"}, name="open_meteo 48.10,11.60", secrets={"key"})
    assert caplog.messages == ["open_meteo 48.10,11.60 429 retry in 60 s"]


def test_trouble_that_stays_ends_after_two_more_tries(provider: Provider, session: Session) -> None:
    provider.replies = [reply(500, Retry_After="1")]
    with pytest.raises(Retry, match="x 500 retry in 1 s"):
        session.get(provider.url, name="x")
    assert len(provider.asked) == 3


def test_nobody_there(session: Session, pauses: Pauses) -> None:
    with pytest.raises(Retry, match=r"x ConnectionError retry in 60 s") as refused:
        session.get("http://127.0.0.1:1/?key=s3cret", name="x")
    assert refused.value.status == 0
    assert pauses == [0.5, 1.0]
    assert "s3cret" not in str(refused.value)


def test_a_body_that_is_too_large_is_not_read_on(provider: Provider, session: Session) -> None:
    provider.replies = [reply(200, b"x" * 10_000), reply(200, b"x" * 10_001)]
    assert len(session.get(provider.url, name="x").body) == 10_000
    with pytest.raises(Unusable, match="x expected at most 10000 bytes, got more"):
        session.get(provider.url, name="x")


def test_a_body_that_unpacks_too_large_is_not_unpacked(
    provider: Provider, session: Session
) -> None:
    bomb = gzip.compress(b"\0" * 50_000_000)
    assert len(bomb) < 100_000
    provider.replies = [reply(200, bomb, Content_Encoding="gzip")]
    with pytest.raises(Unusable, match="expected at most 10000 bytes"):
        session.get(provider.url, name="x")


def test_a_packed_body_is_unpacked(provider: Provider, session: Session) -> None:
    provider.replies = [reply(200, gzip.compress(b"plain"), Content_Encoding="gzip")]
    assert session.get(provider.url, name="x").body == b"plain"


def test_a_body_that_cannot_be_unpacked_is_refused(provider: Provider, session: Session) -> None:
    provider.replies = [reply(200, b"not gzip at all", Content_Encoding="gzip")]
    with pytest.raises(Unusable, match="x unreadable body"):
        session.get(provider.url, name="x")


def test_a_server_that_drips_is_cut_at_the_deadline(provider: Provider) -> None:
    end = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "100000")
        handler.end_headers()
        while not end.wait(0.02):
            try:
                handler.wfile.write(b"x" * 10)
            except OSError:
                return

    provider.replies = [drip]
    session = Session("x", limits=Limits(read=5, deadline=0.2, retries=0))
    with pytest.raises(Retry, match="x deadline passed"):
        session.get(provider.url, name="x")
    end.set()
    session.close()


def test_a_redirect_within_the_host_is_followed(provider: Provider, session: Session) -> None:
    provider.replies = [reply(301, Location="/new?a=1"), reply(200, b"good")]
    assert session.get(f"{provider.url}/old", name="x").body == b"good"
    assert provider.asked == ["/old", "/new?a=1"]


@pytest.mark.parametrize(
    "target", ["http://127.0.0.2:{port}/", "http://127.0.0.1:1/", "file:///etc/passwd", "//evil/"]
)
def test_a_redirect_elsewhere_is_refused(provider: Provider, session: Session, target: str) -> None:
    port = provider.url.rpartition(":")[2]
    provider.replies = [reply(302, Location=target.format(port=port))]
    with pytest.raises(Unusable, match="x moved to another host"):
        session.get(provider.url, name="x")
    assert len(provider.asked) == 1


def test_a_redirect_in_a_circle_ends(provider: Provider, session: Session) -> None:
    provider.replies = [reply(302, Location="/")]
    with pytest.raises(Unusable, match="x moved more than 3 times"):
        session.get(provider.url, name="x")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/", "data:,x", "nothing", ""]
)
def test_only_http_is_asked(session: Session, url: str) -> None:
    with pytest.raises(Unusable, match="x expected an http or https URL"):
        session.get(url, name="x")


def test_a_redacted_url_shows_no_secret() -> None:
    url = "https://me:pw@api.example:8443/v1?appid=s3cret&q=a%20b&appid=again&empty="
    assert (
        redacted(url, {"appid"}) == "https://api.example:8443/v1?appid=***&q=a%20b&appid=***&empty="
    )


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("5", 5), ("-5", 0), ("1e9", 86400), ("nan", 60), ("soon", 60), ("", 60),
     ((NOW - timedelta(hours=1)).strftime("%a, %d %b %Y %H:%M:%S GMT"), 0)],
)  # fmt: skip
def test_retry_after(header: str, seconds: float) -> None:
    assert retry_after(header, NOW) == seconds


def test_an_answer_is_a_value() -> None:
    assert Answer(200, {}, b"", NOW, "u") == Answer(200, {}, b"", NOW, "u")


def test_a_packed_body_that_comes_byte_by_byte_is_whole(
    provider: Provider, session: Session
) -> None:
    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for byte in gzip.compress(bytes(range(256)) * 4):
            handler.wfile.write(b"1\r\n%c\r\n" % byte)
            handler.wfile.flush()
        handler.wfile.write(b"0\r\n\r\n")

    provider.replies = [drip]
    assert session.get(provider.url, name="x").body == bytes(range(256)) * 4


def test_unpacking_takes_memory_for_the_limit_only(provider: Provider, session: Session) -> None:
    provider.replies = [reply(200, gzip.compress(b"\0" * 50_000_000), Content_Encoding="gzip")]
    tracemalloc.start()
    with pytest.raises(Unusable):
        session.get(provider.url, name="x")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000
