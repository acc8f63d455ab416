"""Identity tokens as Google makes them, by keys of our own, their forgeries, and a loopback server
of certificates."""

import base64
import hmac
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import NameOID
from skyblend.runtime.certificates import Certificates, Fetched, from_google
from skyblend.runtime.identity import IdentityAccess
from skyblend.runtime.idtokens import STRIPPED, Expected

AUDIENCE = "https://skyblend-ingest-abc.a.run.app"
CALLER = "skyblend-push@some-project.iam.gserviceaccount.com"
EXPECTED = Expected(audiences=("https://other.example", AUDIENCE), callers=("a@b.example", CALLER))
HOUR = 3600


@dataclass(frozen=True, slots=True)
class Key:
    """A key with its certificate, as Google shows it."""

    id: str
    private: rsa.RSAPrivateKey
    certificate: str

    def sign(self, message: bytes) -> bytes:
        return self.private.sign(message, padding.PKCS1v15(), hashes.SHA256())

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


@cache
def key(key_id: str) -> Key:
    """The key of that id; another of the same id is `first/other`."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "federated-signon.example")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=14))
        .sign(private, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM).decode()
    return Key(key_id.partition("/")[0], private, pem)


FIRST = key("first")


def encoded(content: bytes | dict[str, Any]) -> str:
    raw = content if isinstance(content, bytes) else json.dumps(content).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token claims; a change to None takes the claim out."""
    now = int(time.time())
    good = {
        "aud": AUDIENCE,
        "azp": "113774264463038321964",
        "email": CALLER,
        "email_verified": True,
        "exp": now + HOUR,
        "iat": now,
        "iss": "https://accounts.google.com",
        "sub": "113774264463038321964",
    }
    return {name: value for name, value in (good | changes).items() if value is not None}


def token(
    *,
    by: Key | None = None,
    header: dict[str, Any] | None = None,
    sign: Callable[[bytes], bytes] | None = None,
    **changes: Any,
) -> str:
    """A token with changed claims or header, signed by a key of ours or in another way."""
    signer = by or FIRST
    shown = {"alg": "RS256", "kid": signer.id, "typ": "JWT"} | (header or {})
    shown = {name: value for name, value in shown.items() if value is not None}
    message = f"{encoded(shown)}.{encoded(claims(**changes))}"
    return f"{message}.{encoded((sign or signer.sign)(message.encode()))}"


def stripped(**changes: Any) -> str:
    """A token as Cloud Run hands it on."""
    return token(**changes).rpartition(".")[0] + "." + STRIPPED


def _hashed(algorithm: str, secret: bytes) -> str:
    """Signed as if a public key were a secret."""
    made = token(
        header={"alg": algorithm}, sign=lambda message: hmac.digest(secret, message, "sha256")
    )
    return f"Bearer {made}"


def _claims_of_another() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{encoded(claims(email='a@b.example'))}.{signature}"


def _none(signature: str) -> str:
    return token(header={"alg": "none"}).rpartition(".")[0] + "." + signature


# What somebody may try -> its Authorization header (None: none at all), and how it is answered.
FORGED: dict[str, tuple[Callable[[], str | None], int]] = {
    "no header": (lambda: None, 401),
    "an empty header": (lambda: "", 401),
    "an empty bearer": (lambda: "Bearer ", 401),
    "no scheme": (token, 401),
    "another scheme": (lambda: f"Basic {token()}", 401),
    "garbage": (lambda: "Bearer garbage", 401),
    "garbage in three parts": (lambda: "Bearer a.b.c", 401),
    "no JSON": (lambda: f"Bearer {encoded(b'{')}.{encoded(b'[]')}.{encoded(b'x')}", 401),
    "deep JSON": (lambda: f"Bearer {encoded(b'[' * 5000)}.{encoded(b'1')}.{encoded(b'x')}", 401),
    "wrong audience": (lambda: f"Bearer {token(aud='https://elsewhere.example')}", 401),
    "no audience": (lambda: f"Bearer {token(aud=None)}", 401),
    "a list of audiences": (lambda: f"Bearer {token(aud=[AUDIENCE])}", 401),
    "wrong issuer": (lambda: f"Bearer {token(iss='https://accounts.example')}", 401),
    "no issuer": (lambda: f"Bearer {token(iss=None)}", 401),
    "wrong e-mail": (lambda: f"Bearer {token(email='else@some-project.example')}", 403),
    "no e-mail": (lambda: f"Bearer {token(email=None)}", 403),
    "unverified e-mail": (lambda: f"Bearer {token(email_verified=False)}", 403),
    "an e-mail verified in words": (lambda: f"Bearer {token(email_verified='true')}", 403),
    "nothing said of the e-mail": (lambda: f"Bearer {token(email_verified=None)}", 403),
    "expired": (lambda: f"Bearer {token(exp=int(time.time()) - 60)}", 401),
    "no expiry": (lambda: f"Bearer {token(exp=None)}", 401),
    "expiry in words": (lambda: f"Bearer {token(exp='9999999999')}", 401),
    "expiry that is no number": (lambda: f"Bearer {token(exp=float('nan'))}", 401),
    "expiry without end": (lambda: f"Bearer {token(exp=float('inf'))}", 401),
    "expiry of a thousand digits": (lambda: f"Bearer {token(exp=10**1000)}", 401),
    "expiry that is true": (lambda: f"Bearer {token(exp=True)}", 401),
    "issued in the future": (lambda: f"Bearer {token(iat=int(time.time()) + 120)}", 401),
    "no time of issue": (lambda: f"Bearer {token(iat=None)}", 401),
    "not yet valid": (lambda: f"Bearer {token(nbf=int(time.time()) + 120)}", 401),
    "alg none": (lambda: f"Bearer {_none('')}", 401),
    "alg none with a signature": (lambda: f"Bearer {_none('eA')}", 401),
    "no alg": (lambda: f"Bearer {token(header={'alg': None})}", 401),
    "HS256 with the public key": (lambda: _hashed("HS256", FIRST.public), 401),
    "HS256 with the certificate": (lambda: _hashed("HS256", FIRST.certificate.encode()), 401),
    "RS256 with a hash by the public key": (lambda: _hashed("RS256", FIRST.public), 401),
    "unknown kid": (lambda: f"Bearer {token(header={'kid': 'unknown'})}", 401),
    "no kid": (lambda: f"Bearer {token(header={'kid': None})}", 401),
    "a kid that is no text": (lambda: f"Bearer {token(header={'kid': ['first']})}", 401),
    "another key with a known kid": (lambda: f"Bearer {token(by=key('first/other'))}", 401),
    "demands in the header": (lambda: f"Bearer {token(header={'crit': ['exp']})}", 401),
    "claims of another": (lambda: f"Bearer {_claims_of_another()}", 401),
    "a signature cut short": (lambda: f"Bearer {token()[:-4]}", 401),
    "a signature cut out": (lambda: f"Bearer {token().rpartition('.')[0]}.", 401),
    "a signature longer": (lambda: f"Bearer {token()}AAAA", 401),
    "a signature removed": (lambda: f"Bearer {stripped()}", 401),
    "two headers": (lambda: f"Bearer {token()},Bearer {token()}", 401),  # as servers join them
    "two tokens": (lambda: f"Bearer {token()} {token()}", 401),
    "too large": (lambda: f"Bearer {token(padding='x' * 8192)}", 401),
    "no ASCII": (lambda: f"Bearer {token()}\xe4", 401),
}


@dataclass
class CertificateServer:
    """What the server of certificates answers, and how often it was asked."""

    address: str = ""
    keys: tuple[str, ...] = ("first",)
    status: int = 200
    headers: dict[str, str] = field(default_factory=lambda: {"Cache-Control": "max-age=3600"})
    asked: int = 0

    @property
    def body(self) -> bytes:
        return json.dumps({name: key(name).certificate for name in self.keys}).encode()

    def fetch(self) -> Callable[[], Fetched]:
        return from_google(self.address)


@contextmanager
def certificate_server() -> Iterator[CertificateServer]:
    shown = CertificateServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            shown.asked += 1
            self.send_response(shown.status)
            for name, value in shown.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(shown.body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        shown.address = f"http://127.0.0.1:{server.server_port}/oauth2/v1/certs"
        yield shown
        server.shutdown()
        thread.join()


def held(*names: str) -> Certificates:
    """Certificates that are at hand without a server."""
    shown = {name: key(name).certificate for name in names or ("first",)}
    return Certificates(lambda: Fetched(shown, 3600.0))


def oidc(expected: Expected = EXPECTED) -> IdentityAccess:
    return IdentityAccess(expected, held())


def iam(expected: Expected = EXPECTED) -> IdentityAccess:
    return IdentityAccess(expected, held(), behind_cloud_run=True)
