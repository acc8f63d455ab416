"""Google's identity tokens (JWT): their form, and what their claims must say.

What is refused is told in words that help, and never repeats any of the token but what it says of
audience, issuer, e-mail and times.
"""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, NoReturn

from skyblend.runtime.guards import Refusal, Refused

LARGEST = 8192  # characters; Google's are about 1,000
SKEW = 30.0  # seconds that a clock may be wrong
ISSUERS = ("https://accounts.google.com", "accounts.google.com")
STRIPPED = "SIGNATURE_REMOVED_BY_GOOGLE"  # what Cloud Run writes in place of one that it checked
_FORM = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_LATEST = 1e11  # seconds; whatever is no time of ours would break the arithmetic


@dataclass(frozen=True, slots=True)
class IdToken:
    """A token that is well formed; nothing of it is proved yet. `signed` is what the signature
    speaks of."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any]
    signed: bytes
    encoded_signature: str

    @property
    def is_stripped(self) -> bool:
        """Whether its signature was taken out by Cloud Run, or by somebody who says so."""
        return self.encoded_signature == STRIPPED

    @property
    def signature(self) -> bytes:
        return _decoded(self.encoded_signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """What claims must say: one of the audiences and one of the callers. None given is any."""

    audiences: tuple[str, ...] = ()
    callers: tuple[str, ...] = ()

    def check(self, claims: Mapping[str, Any], now: float) -> None:
        """Raises Refused with 401 for a token that is not for us or not for now, with 403 for one
        of somebody who may not. `now` is in seconds since 1970."""
        _check_times(claims, now)
        _check_issuer(claims)
        self._check_audience(claims)
        if self.callers:
            self._check_caller(claims)

    def _check_audience(self, claims: Mapping[str, Any]) -> None:
        given = claims.get("aud")
        if self.audiences and not (isinstance(given, str) and given in self.audiences):
            deny(f"expected the audience {' or '.join(self.audiences)}, got {_shown(given)}")

    def _check_caller(self, claims: Mapping[str, Any]) -> None:
        given = claims.get("email")
        if given is None:
            forbid("the identity token names no e-mail: ask for one that includes it")
        if not isinstance(given, str) or given.lower() not in map(str.lower, self.callers):
            forbid(f"{_shown(given)} is not among SKYBLEND_CALLERS")
        if claims.get("email_verified") is not True:
            forbid(f"the e-mail {_shown(given)} is not verified")


def deny(detail: str) -> NoReturn:
    """Refuse who shows nothing valid."""
    raise Refused(Refusal(HTTPStatus.UNAUTHORIZED, "not authorised", detail))


def forbid(detail: str) -> NoReturn:
    """Refuse who is known and may not."""
    raise Refused(Refusal(HTTPStatus.FORBIDDEN, "forbidden", detail))


def bearer_token(header: str) -> str:
    """What an Authorization header bears; raises Refused for none, for two and for one too
    large."""
    scheme, _, token = header.partition(" ")
    token = token.strip()
    if scheme.lower() != "bearer" or not token:
        deny("expected the header Authorization: Bearer with an identity token of Google")
    if len(token) > LARGEST:
        deny(f"expected an identity token of at most {LARGEST} characters, got {len(token)}")
    return token


def parse(token: str) -> IdToken:
    """The token in its parts. Only its one canonical spelling is read: Base64 leaves bits of the
    last character unused, and another spelling of the same signature would be another token."""
    if (form := _FORM.fullmatch(token)) is None:
        deny("expected an identity token: three parts in Base64 with dots between")
    header, claims, signature = form.groups()
    return IdToken(
        _json(header, "header"), _json(claims, "claims"), token[: form.end(2)].encode(), signature
    )


def _json(encoded: str, part: str) -> Mapping[str, Any]:
    try:
        found = json.loads(_decoded(encoded), parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        deny(f"the {part} of the identity token: expected a JSON object in Base64")
    return found


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def _decoded(encoded: str) -> bytes:
    try:
        found = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
    except ValueError:
        found = b""
    if base64.urlsafe_b64encode(found).rstrip(b"=") != encoded.encode():
        deny("a part of the identity token is cut short or no Base64")
    return found


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    if now > (ended := _time(claims, "exp")) + SKEW:
        deny(f"the identity token expired at {_when(ended)}, it is {_when(now)}")
    for name in ("iat", "nbf"):
        if name in claims or name == "iat":
            begins = _time(claims, name)
            if now < begins - SKEW:
                deny(f"the identity token is valid from {_when(begins)} on, it is {_when(now)}")


def _time(claims: Mapping[str, Any], name: str) -> float:
    given = claims.get(name)
    if isinstance(given, bool) or not isinstance(given, int | float) or not 0 <= given <= _LATEST:
        deny(f"the identity token: expected {name} in seconds since 1970")
    return float(given)


def _when(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _check_issuer(claims: Mapping[str, Any]) -> None:
    if (given := claims.get("iss")) not in ISSUERS:
        deny(f"expected the issuer {' or '.join(ISSUERS)}, got {_shown(given)}")


def _shown(given: object) -> str:
    return repr(given)[:120]
