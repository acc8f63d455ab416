"""Google's certificates: fetched once, kept as long as allowed, looked for again but not too often,
and serving on where a fetch fails."""

from collections.abc import Iterator
from threading import Barrier, Event, Thread

import pytest
from identities import EXPECTED, CertificateServer, certificate_server, key, token
from skyblend.runtime.certificates import PAUSE, STALE, Certificates, Fetched
from skyblend.runtime.identity import IdentityAccess


class Clock:
    """Monotonic seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def server() -> Iterator[CertificateServer]:
    with certificate_server() as shown:
        yield shown


@pytest.fixture
def google(server) -> CertificateServer:
    """The server of certificates as it is at first."""
    fresh = CertificateServer(server.address)
    vars(server).update(vars(fresh))
    return server


@pytest.fixture
def certificates(google, clock) -> Certificates:
    return Certificates(google.fetch(), clock=clock)


def status(certificates: Certificates, key_id: str = "first") -> int:
    """How a token signed by that key is answered, 200 where it is let in."""
    access = IdentityAccess(EXPECTED, certificates)
    refusal = access.refuse({"Authorization": f"Bearer {token(by=key(key_id))}"})
    return 200 if refusal is None else refusal.status


def test_certificates_are_fetched_once(certificates, google):
    assert [status(certificates) for _ in range(20)] == [200] * 20
    assert google.asked == 1


def test_nothing_is_fetched_before_the_first_token(certificates, google):
    access = IdentityAccess(EXPECTED, certificates)
    assert access.refuse({}) is not None
    assert access.refuse({"Authorization": "Bearer a.b.c"}) is not None
    assert google.asked == 0


def test_certificates_are_kept_as_long_as_the_answer_says(certificates, google, clock):
    google.headers = {"Cache-Control": "public, max-age=600, must-revalidate", "Age": "100"}
    for seconds, asked in ((0, 1), (499, 1), (1, 2), (499, 2), (1, 3)):
        clock.seconds += seconds
        assert status(certificates) == 200
        assert google.asked == asked


@pytest.mark.parametrize(
    ("header", "kept"),
    [
        ({}, 300),
        ({"Cache-Control": "no-store"}, 300),
        ({"Cache-Control": "max-age=0"}, 60),
        ({"Cache-Control": "s-maxage=9, Max-Age=120"}, 120),
        ({"Cache-Control": "max-age=99999999"}, 86400),
        ({"Cache-Control": "max-age=1e9"}, 300),
    ],
)
def test_how_long_they_are_kept_has_bounds(certificates, google, clock, header, kept):
    google.headers = header
    for seconds, asked in ((0, 1), (kept - 1, 1), (1, 2)):
        clock.seconds += seconds
        assert status(certificates) == 200
        assert google.asked == asked


def test_a_new_certificate_is_found_at_its_first_token(certificates, google, clock):
    assert status(certificates) == 200
    google.keys = ("first", "second")
    clock.seconds += PAUSE
    assert status(certificates, "second") == 200
    assert status(certificates) == 200
    assert google.asked == 2


def test_a_certificate_that_is_gone_counts_no_more(certificates, google, clock):
    assert status(certificates) == 200
    google.keys = ("second",)
    clock.seconds += 3600
    assert status(certificates) == 401
    assert status(certificates, "second") == 200


def test_a_flood_of_unknown_certificates_is_no_flood_of_fetches(certificates, google, clock):
    assert status(certificates) == 200
    for _ in range(30):
        assert status(certificates, "second") == 401
        clock.seconds += 1
    assert google.asked == 1 + 2  # after 10 and 20 s
    assert status(certificates) == 200


def test_a_failing_fetch_leaves_those_at_hand_for_a_day(certificates, google, clock):
    assert status(certificates) == 200
    google.status = 500
    clock.seconds += 3600
    assert [status(certificates) for _ in range(5)] == [200] * 5
    assert google.asked == 2
    clock.seconds += STALE - 1
    assert status(certificates) == 200
    clock.seconds += 1
    assert status(certificates) == 503
    google.status = 200
    clock.seconds += PAUSE
    assert status(certificates) == 200


@pytest.mark.parametrize("answer", [500, 404, 301])
def test_no_certificates_at_all_is_our_trouble_and_not_the_callers(certificates, google, answer):
    google.status = answer
    assert [status(certificates) for _ in range(5)] == [503] * 5
    assert google.asked == 1


@pytest.mark.parametrize(
    "body", [b"", b"<html>", b"[]", b"{}", b'{"first": "no certificate"}', b'{"first": 1}', b"\xff"]
)
def test_an_answer_that_is_no_certificates_is_not_taken(google, clock, body, monkeypatch):
    monkeypatch.setattr(CertificateServer, "body", body)
    assert status(Certificates(google.fetch(), clock=clock)) == 503


def test_nobody_there_is_our_trouble(clock):
    absent = CertificateServer("http://127.0.0.1:9/certs")
    assert status(Certificates(absent.fetch(), clock=clock)) == 503


def test_who_has_a_certificate_at_hand_does_not_wait_for_a_slow_fetch(clock):
    asked, answer = Event(), Event()
    pems = {"first": key("first").certificate}
    answers = iter([lambda: None, lambda: (asked.set(), answer.wait(20))])

    def fetch() -> Fetched:
        next(answers)()
        return Fetched(pems, 60.0)

    certificates = Certificates(fetch, clock=clock)
    assert status(certificates) == 200
    clock.seconds += 61
    slow = Thread(target=status, args=(certificates,))
    slow.start()
    assert asked.wait(20)
    assert status(certificates) == 200  # while the other fetches
    answer.set()
    slow.join()


def test_many_first_tokens_at_once_are_one_fetch(certificates, google):
    start, found = Barrier(8), []

    def ask() -> None:
        start.wait()
        found.append(status(certificates))

    threads = [Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [200] * 8
    assert google.asked == 1
