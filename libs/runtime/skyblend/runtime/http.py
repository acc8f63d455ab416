"""Calls to providers: every one has time-outs, a bound on its size and a redacted name.

HttpError
    Retry        the provider asks for patience or is in trouble: ask again after `after` seconds
    Unusable     the answer cannot be taken: too large, moved elsewhere, not HTTP
"""

import logging
import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from threading import Event
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit

import requests
from skyblend.runtime.guards import LOOPBACK
from skyblend.runtime.logs import MASK
from urllib3.exceptions import DecodeError, HTTPError

FIRST_PAUSE, LONGEST_PAUSE = 0.5, 10.0  # between two tries of one call
DEFAULT_AFTER, LONGEST_AFTER = 60.0, 86400.0
REDIRECTS = 3
TOO_MANY, TROUBLE = 429, 500  # the status, and the first of those, that are asked again
_MOVED = frozenset({301, 302, 303, 307, 308})
_PORTS = {"http": 80, "https": 443}
_NO_PROXY = {"http": "", "https": ""}  # what answers on this machine is behind none
_PIECE = 1 << 16
_LOG = logging.getLogger(__name__)


class HttpError(Exception):
    """A call that gave no answer; the text carries the call's redacted name."""


class Retry(HttpError):
    """Ask again after `after` seconds; `status` is 0 where nothing answered."""

    def __init__(self, name: str, reason: str, *, after: float, status: int = 0) -> None:
        super().__init__(f"{name} {reason} retry in {after:.0f} s")
        self.after, self.status = after, status


class Unusable(HttpError):
    """An answer that cannot be taken; asking again at once changes nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What was answered; `url` is the one asked, secrets masked; names of headers are lower
    case."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime
    url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one call: seconds to connect, to the next piece, and in all; bytes of the unpacked
    body; tries after the first."""

    connect: float = 5.0
    read: float = 20.0
    deadline: float = 60.0
    size: int = 64 << 20
    retries: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class _Call:
    name: str
    url: str
    headers: Mapping[str, str]
    shown: str  # the URL with secrets masked
    end: float  # of the deadline, monotonic seconds
    trusted: frozenset[str] = field(repr=False)  # the only origin that it may be moved to


class Session:
    """Connections to providers. `pause` waits between two tries, `now` tells when an answer
    came."""

    def __init__(
        self,
        user_agent: str,
        *,
        limits: Limits = Limits(),
        pause: Callable[[float], object] | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._session = requests.Session()
        self._session.headers["User-Agent"] = user_agent
        self._limits, self._now = limits, now
        self._pause = Event().wait if pause is None else pause

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = frozenset(),
    ) -> Answer:
        """The answer to a GET, whatever its status but 429 and 5xx: these and broken connections
        are tried again within the deadline, then raise Retry. `name` stands for the call in logs
        and errors (`open_meteo 48.10,11.60`); `secrets` names the parameters to mask."""
        call = self._call(url, params or {}, headers or {}, name, frozenset(secrets))
        for done in range(self._limits.retries + 1):
            try:
                return self._try(call)
            except Retry as failure:
                if not self._waits(call, failure, done):
                    _LOG.warning("%s", failure)
                    raise
        raise AssertionError("the last try answers or raises")

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def _call(
        self,
        url: str,
        params: Mapping[str, str],
        headers: Mapping[str, str],
        name: str,
        secrets: frozenset[str],
    ) -> _Call:
        if (origin := _origin(url)) is None:
            raise Unusable(f"{name} expected an http or https URL, got {urlsplit(url).scheme!r}")
        return _Call(
            name=name,
            url=_with_query(url, params),
            headers=headers,
            shown=redacted(_with_query(url, params), secrets),
            end=time.monotonic() + self._limits.deadline,
            trusted=frozenset({origin}),
        )

    def _waits(self, call: _Call, failure: Retry, done: int) -> bool:
        """Wait before the next try, if there is one and the wait is short enough."""
        wait = max(failure.after if failure.status else 0.0, FIRST_PAUSE * 2.0**done)
        if done == self._limits.retries or wait > min(LONGEST_PAUSE, call.end - time.monotonic()):
            return False
        self._pause(wait)
        return True

    def _try(self, call: _Call) -> Answer:
        try:
            with self._open(call) as response:
                if response.status_code == TOO_MANY or response.status_code >= TROUBLE:
                    reason = str(response.status_code)
                    after = retry_after(response.headers.get("Retry-After", ""), self._now())
                    raise Retry(call.name, reason, after=after, status=response.status_code)
                body = self._body(call, response)
        except DecodeError as error:
            raise Unusable(f"{call.name} unreadable body: {type(error).__name__}") from None
        except (requests.ConnectionError, requests.Timeout, HTTPError, OSError) as error:
            raise Retry(call.name, type(error).__name__, after=DEFAULT_AFTER) from None
        headers = {key.lower(): value for key, value in response.headers.items()}
        return Answer(response.status_code, headers, body, self._now(), call.shown)

    def _open(self, call: _Call) -> requests.Response:
        """The response behind redirects within the origin; others are refused, since they would
        take the request's secrets elsewhere."""
        url = call.url
        for _ in range(REDIRECTS + 1):
            response = self._send(call, url)
            location = response.headers.get("Location", "")
            if response.status_code not in _MOVED or not location:
                return response
            response.close()
            url = urljoin(url, location)
            if _origin(url) not in call.trusted:
                raise Unusable(f"{call.name} moved to another host")
        raise Unusable(f"{call.name} moved more than {REDIRECTS} times")

    def _send(self, call: _Call, url: str) -> requests.Response:
        left = call.end - time.monotonic()
        if left <= 0:
            raise Retry(call.name, "deadline passed", after=DEFAULT_AFTER)
        timeout = (min(self._limits.connect, left), min(self._limits.read, left))
        try:
            return self._session.get(
                url,
                headers=dict(call.headers),
                timeout=timeout,
                stream=True,
                allow_redirects=False,
                proxies=_NO_PROXY if urlsplit(url).hostname in LOOPBACK else None,
            )
        except (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader) as error:
            raise Unusable(f"{call.name} {type(error).__name__}") from None

    def _body(self, call: _Call, response: requests.Response) -> bytes:
        """The unpacked body, counted while it comes; a server that drips is cut at the deadline."""
        pieces, size = [], 0
        while piece := response.raw.read1(_PIECE, decode_content=True):
            pieces.append(piece)
            size += len(piece)
            if size > self._limits.size:
                raise Unusable(f"{call.name} expected at most {self._limits.size} bytes, got more")
            if time.monotonic() > call.end:
                raise Retry(call.name, "deadline passed", after=DEFAULT_AFTER)
        return b"".join(pieces)


def retry_after(header: str, now: datetime) -> float:
    """Seconds that a Retry-After header asks for (a number or a date), at most a day; 60
    without."""
    try:
        seconds = float(header)
    except ValueError:
        try:
            seconds = (parsedate_to_datetime(header) - now).total_seconds()
        except (ValueError, TypeError):
            return DEFAULT_AFTER
    return DEFAULT_AFTER if math.isnan(seconds) else min(max(seconds, 0.0), LONGEST_AFTER)


def redacted(url: str, secrets: Collection[str]) -> str:
    """The URL with the values of the parameters `secrets` masked, and without a user or
    password."""
    parts = urlsplit(url)
    shown = [(key, MASK if key in secrets else value) for key, value in _pairs(parts.query)]
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=host, query=_query(shown)).geturl()


def _with_query(url: str, params: Mapping[str, str]) -> str:
    parts = urlsplit(url)
    return parts._replace(query=_query([*_pairs(parts.query), *params.items()])).geturl()


def _pairs(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True)


def _query(pairs: list[tuple[str, str]]) -> str:
    """A query whose commas stay commas, as every provider here takes them."""
    return urlencode(pairs, safe=",*:", quote_via=quote)


def _origin(url: str) -> str | None:
    """Scheme, host and port; None for what is not HTTP."""
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or not parts.hostname:
        return None
    return f"{parts.scheme}://{parts.hostname}:{parts.port or _PORTS[parts.scheme]}"
