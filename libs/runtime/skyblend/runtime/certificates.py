"""Google's certificates, by which identity tokens are verified.

They are fetched at the first token and kept as long as the answer allows (hours). A token that
names another certificate makes us look again, but at most once in PAUSE seconds, so that a flood of
forged tokens is no flood of fetches. Where a fetch fails, those at hand serve on for up to a day.
"""

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

from skyblend.runtime.guards import Refusal, Refused

if TYPE_CHECKING:
    from skyblend.runtime.http import Answer

ADDRESS = "https://www.googleapis.com/oauth2/v1/certs"  # certificates as PEM by key id
PAUSE = 10.0  # seconds between two fetches, whatever came of the first
STALE = 86400.0  # seconds that certificates serve past their time
_SHORTEST, _LONGEST, _UNSAID = 60.0, 86400.0, 300.0  # seconds that an answer is kept
_MAX_AGE = re.compile(r"(?:^|[,\s])max-age=([0-9]{1,9})(?:$|[,\s])")
_LOG = logging.getLogger(__name__)


class NotFetched(Exception):
    """No certificates came; the text says why."""


class Verifier(Protocol):
    """A public key; google-auth's RSAVerifier (RSASSA-PKCS1-v1_5 with SHA-256) is one."""

    def verify(self, message: bytes, signature: bytes) -> bool:
        """Whether the key's owner signed the message."""
        ...


@dataclass(frozen=True, slots=True)
class Fetched:
    """Certificates in PEM by key id, and the seconds that they may be kept."""

    certificates: Mapping[str, str]
    seconds: float


@dataclass(frozen=True, slots=True)
class _Held:
    verifiers: Mapping[str, Verifier]
    until: float


class Certificates:
    """The certificates as they are now. `fetch` may raise NotFetched or ValueError; `clock` is
    monotonic seconds."""

    def __init__(
        self, fetch: Callable[[], Fetched], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._held = _Held({}, float("-inf"))
        self._next = float("-inf")  # no fetch before it
        self._fetching = threading.Lock()

    def verifier(self, key_id: str) -> Verifier | None:
        """The key of that id, None where Google has none. Raises Refused with 503 where no
        certificates can be had: the call may be repeated."""
        if key_id not in self._held.verifiers or self._clock() >= self._held.until:
            self._refresh(key_id)
        if self._clock() >= self._held.until + STALE:
            raise Refused(
                Refusal(
                    HTTPStatus.SERVICE_UNAVAILABLE,
                    "no certificates",
                    "Google's certificates cannot be fetched now: try again",
                )
            )
        return self._held.verifiers.get(key_id)

    def _refresh(self, key_id: str) -> None:
        """Fetch where it is due; who has a key at hand does not wait for another's fetch."""
        if not self._fetching.acquire(blocking=key_id not in self._held.verifiers):
            return
        try:
            if self._clock() >= self._next and self._is_due(key_id):
                self._next = self._clock() + PAUSE
                self._load()
        finally:
            self._fetching.release()

    def _is_due(self, key_id: str) -> bool:
        return key_id not in self._held.verifiers or self._clock() >= self._held.until

    def _load(self) -> None:
        try:
            fetched = self._fetch()
            verifiers = {name: _verifier(pem) for name, pem in fetched.certificates.items()}
        except (NotFetched, ValueError) as error:
            _LOG.warning("Google's certificates are not renewed: %s", error)
            return
        self._held = _Held(verifiers, self._clock() + fetched.seconds)


def from_google(address: str = ADDRESS) -> Callable[[], Fetched]:
    """How they are fetched: at most 5 s and 1 MiB, one try."""

    def fetch() -> Fetched:
        from skyblend.runtime import http  # noqa: PLC0415 - heavy: no start waits for it

        limits = http.Limits(connect=3.0, read=3.0, deadline=5.0, size=1 << 20, retries=0)
        session = http.Session("skyblend", limits=limits)
        try:
            return _read(session.get(address, name="certificates"))
        except http.HttpError as error:
            raise NotFetched(str(error)) from error
        finally:
            session.close()

    return fetch


def _read(answer: "Answer") -> Fetched:
    if answer.status != HTTPStatus.OK:
        raise NotFetched(f"expected 200, got {answer.status}")
    content = json.loads(answer.body)
    if not isinstance(content, dict) or not content:
        raise NotFetched("expected a JSON object of certificates, got something else")
    return Fetched(content, _seconds(answer.headers))


def _seconds(headers: Mapping[str, str]) -> float:
    """How long an answer may be kept: max-age less the time that it lay in caches before us."""
    said = _MAX_AGE.search(headers.get("cache-control", "").lower())
    if said is None:
        return _UNSAID
    age = headers.get("age", "")
    passed = float(age) if age.isdecimal() else 0.0
    return min(max(float(said[1]) - passed, _SHORTEST), _LONGEST)


def _verifier(pem: str) -> Verifier:
    from google.auth.crypt import RSAVerifier  # noqa: PLC0415 - heavy

    verifier: Verifier = RSAVerifier.from_string(pem)  # type: ignore[no-untyped-call]
    return verifier
