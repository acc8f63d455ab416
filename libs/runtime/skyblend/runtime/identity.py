"""Access by Google's identity tokens: SKYBLEND_AUTH=oidc and iam.

One list of callers may do all that changes something: the identity that Pub/Sub pushes with, the
scheduler's, and those people or services that upload files or add places. Reading stays open to
whoever reaches the service; under iam Cloud Run lets nobody else reach it.

oidc  Everything about the token is verified here, on each request: signature by one of Google's
      certificates (RS256 and nothing else), issuer, audience, expiry, begin, e-mail verified and
      among SKYBLEND_CALLERS. It rests on TLS to Google and our clock, on nobody in front of us.
      Cloud Run that checks callers itself may take the signature out; then this mode can verify
      nothing and says so: use iam there.

iam   Cloud Run has checked signature, audience and the caller's right to invoke the service before
      the request came here, and has usually put SIGNATURE_REMOVED_BY_GOOGLE in the signature's
      place. We believe such a token, so all rests on three things that this code cannot see: the
      service is deployed with --no-allow-unauthenticated, nobody but Google's front reaches the
      container's port, and its invokers are those who should be. K_SERVICE and K_REVISION, which
      Cloud Run sets, must be there: elsewhere a forged token would be believed, so the start is
      refused. What the token says is checked all the same: expiry, issuer, the audience where
      SKYBLEND_AUDIENCE names any, the verified e-mail where SKYBLEND_CALLERS names any. So an
      invoker who is not among the callers may read and change nothing; without callers, whoever
      may invoke may change. A token that still has its signature is verified as under oidc. Only
      Authorization counts. Of it and X-Serverless-Authorization Cloud Run checks the second alone
      where it is there, and hands the other on unseen; and to granian X_Serverless_Authorization,
      which Cloud Run does not look at, is the same. So a request that changes something and bears
      that name in either spelling is refused; gunicorn drops the second before we see it.
"""

import hashlib
import logging
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping

from skyblend.runtime.certificates import Certificates, from_google
from skyblend.runtime.guards import Refusal, Refused
from skyblend.runtime.idtokens import SKEW, Expected, IdToken, bearer_token, deny, parse
from skyblend.runtime.settings import Misconfigured, Settings

CLOUD_RUN = ("K_SERVICE", "K_REVISION")  # variables that Cloud Run sets
SERVERLESS = "X-Serverless-Authorization"
_ALGORITHM = "RS256"
_KEPT = 256  # verified tokens; Pub/Sub sends the same one for up to an hour
_QUIET = 60.0  # seconds between two lines about refusals
_LOG = logging.getLogger(__name__)


def access_for(settings: Settings, *, environ: Mapping[str, str] = os.environ) -> "IdentityAccess":
    """Access under SKYBLEND_AUTH=oidc or iam; raises Misconfigured for iam anywhere but on Cloud
    Run."""
    behind_cloud_run = settings.auth == "iam"
    if behind_cloud_run and (absent := [name for name in CLOUD_RUN if not environ.get(name)]):
        raise Misconfigured(
            "SKYBLEND_AUTH is iam, which believes what Cloud Run has checked, but this is not"
            f" Cloud Run: {' and '.join(absent)} not set; use oidc, which verifies tokens itself"
        )
    return IdentityAccess(
        Expected(audiences=settings.audience, callers=settings.callers),
        Certificates(from_google()),
        behind_cloud_run=behind_cloud_run,
    )


class IdentityAccess:
    """Whoever shows a valid identity token of an expected caller. `now` is seconds since 1970."""

    any_host = True

    def __init__(
        self,
        expected: Expected,
        certificates: Certificates,
        *,
        behind_cloud_run: bool = False,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._expected, self._certificates = expected, certificates
        self._behind_cloud_run, self._now = behind_cloud_run, now
        self._verified = _Verified()
        self._told = float("-inf")

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        try:
            self._admit(bearer_token(self._header(headers)))
        except Refused as refused:
            self._tell(refused.refusal)
            return refused.refusal
        return None

    def _header(self, headers: Mapping[str, str]) -> str:
        """The header that counts: Authorization, unless Cloud Run has checked another in its
        place."""
        if self._behind_cloud_run and SERVERLESS in headers:
            deny(f"expected the identity token as Authorization, without {SERVERLESS}")
        return headers.get("Authorization", "")

    def _admit(self, token: str) -> None:
        """Raises Refused unless the token is good; one that was, is until it expires."""
        now = self._now()
        if self._verified.holds(token, now):
            return
        found = parse(token)
        self._check_signature(found)
        self._expected.check(found.claims, now)
        self._verified.keep(token, float(found.claims["exp"]) + SKEW)

    def _check_signature(self, token: IdToken) -> None:
        if token.is_stripped:
            if self._behind_cloud_run:
                return
            deny(
                "Cloud Run has checked this token and removed its signature, which SKYBLEND_AUTH"
                "=oidc needs: set it to iam"
            )
        _verify(token, self._certificates)

    def _tell(self, refusal: Refusal) -> None:
        """Who sets up the service reads why its callers are refused; a flood is one line a
        minute."""
        if (now := time.monotonic()) >= self._told + _QUIET:
            self._told = now
            _LOG.warning("a request is refused with %d: %s", refusal.status, refusal.detail)


def _verify(token: IdToken, certificates: Certificates) -> None:
    """Raises Refused unless one of Google's keys made the signature. The algorithm is ours to
    choose, never the token's: a public key must not be taken for a secret."""
    if (algorithm := token.header.get("alg")) != _ALGORITHM:
        deny(f"expected an identity token signed with {_ALGORITHM}, got {str(algorithm)[:20]!r}")
    if "crit" in token.header:
        deny("the header of the identity token demands what is not known here (crit)")
    key_id, signature = token.header.get("kid"), token.signature
    verifier = certificates.verifier(key_id) if isinstance(key_id, str) else None
    if verifier is None:
        deny("the identity token names none of Google's certificates")
    try:
        is_good = verifier.verify(token.signed, signature)
    except TypeError:  # a certificate of another kind of key than RSA
        is_good = False
    if not is_good:
        deny("the signature of the identity token is not Google's")


class _Verified:
    """The tokens found good of late, by their hash, each with the time when it ends."""

    def __init__(self) -> None:
        self._ends: OrderedDict[bytes, float] = OrderedDict()
        self._lock = threading.Lock()

    def holds(self, token: str, now: float) -> bool:
        end = self._ends.get(_hash(token))
        return end is not None and now <= end

    def keep(self, token: str, end: float) -> None:
        """Keep one more; the oldest makes room."""
        with self._lock:
            self._ends[_hash(token)] = end
            if len(self._ends) > _KEPT:
                self._ends.popitem(last=False)


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
