"""Signed URLs, signed with a key that is made here and judged as Cloud Storage judges them."""

import binascii
import hashlib
import json
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import pytest
from click.testing import CliRunner, Result
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from gcs_server import Gcs, serving
from skyblend.cli.main import cli
from skyblend.ingest.arrivals import stated
from skyblend.runtime.storage import StorageError
from skyblend.runtime.storage.signed import SignedUpload, sign_upload

ACCOUNT = "skyblend-ingest@p.iam.gserviceaccount.com"
NAME = "uploads/0123.source-tidy/a b.csv"
HOUR = timedelta(hours=1)
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def judge(method: str, target: str, headers: dict[str, str]) -> str | None:
    """Why a signed request is refused, or None: signature version 4, from its description."""
    path, _, query = target.partition("?")
    fields = dict(field.split("=", 1) for field in query.split("&"))
    signature = fields.pop("X-Goog-Signature", "")
    signed = unquote(fields["X-Goog-SignedHeaders"]).split(";")
    if extra := [n for n in headers if n.startswith("x-goog-") and n not in signed]:
        return f"headers that are not signed: {extra}"
    begun = datetime.strptime(fields["X-Goog-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    if datetime.now(UTC) > begun + timedelta(seconds=int(fields["X-Goog-Expires"])):
        return "expired"
    canonical = "\n".join(
        (
            method,
            path,
            "&".join(f"{name}={value}" for name, value in sorted(fields.items())),
            *(f"{name}:{headers.get(name, '').strip()}" for name in signed),
            "",
            ";".join(signed),
            "UNSIGNED-PAYLOAD",
        )
    )
    scope = unquote(fields["X-Goog-Credential"]).partition("/")[2]
    digest = hashlib.sha256(canonical.encode()).hexdigest()
    text = f"GOOG4-RSA-SHA256\n{fields['X-Goog-Date']}\n{scope}\n{digest}"
    try:
        KEY.public_key().verify(
            binascii.unhexlify(signature), text.encode(), padding.PKCS1v15(), hashes.SHA256()
        )
    except InvalidSignature:
        return "the signature is another request's"
    return None


@pytest.fixture
def gcs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Gcs]:
    """A server that judges signatures, and the key in the environment."""
    pem = KEY.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    key = tmp_path / "key.json"
    key.write_text(
        json.dumps(
            {
                "type": "service_account",
                "client_email": ACCOUNT,
                "private_key": pem.decode(),
                "token_uri": "https://127.0.0.1:9/none",
            }
        )
    )
    with serving() as server:
        server.signed = judge
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(key))
        yield server


Sign = Callable[..., SignedUpload]


@pytest.fixture
def sign(gcs: Gcs) -> Sign:
    def run(name: str = NAME, **options: object) -> SignedUpload:
        given = {"limit": 1000, "expires": HOUR, **options}
        return sign_upload(gcs.bucket.name, name, project="p", **given)  # type: ignore[arg-type]

    return run


def send(signed: SignedUpload, content: bytes, *, url: str = "", **headers: str) -> int:
    """The status of the answer to a signed request."""
    wanted = {**signed.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
    asked = urllib.request.Request(
        url or signed.url, content, {k: v for k, v in wanted.items() if v}, method=signed.method
    )
    asked.add_unredirected_header("Content-Type", "")
    try:
        with urllib.request.urlopen(asked, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_whoever_has_the_url_uploads_that_file(gcs: Gcs, sign: Sign) -> None:
    assert send(sign(), b"content") == 200
    assert gcs.bucket.objects[NAME].data == b"content"


def test_the_size_is_bounded(gcs: Gcs, sign: Sign) -> None:
    assert send(sign(), b"x" * 1001) == 400
    assert send(sign(), b"x" * 1001, x_goog_content_length_range="0,5000") == 403
    assert send(sign(), b"x", x_goog_content_length_range="") == 403
    assert not gcs.bucket.objects


def test_another_name_source_or_method_is_refused(gcs: Gcs, sign: Sign) -> None:
    signed = sign()
    assert send(signed, b"x", url=signed.url.replace("source-tidy", "source-nws_scs")) == 403
    assert send(signed, b"x", url=signed.url.replace("a%20b.csv", "latest.pb")) == 403
    longer = signed.url.replace("X-Goog-Expires=3600", "X-Goog-Expires=604800")
    assert send(signed, b"x", url=longer) == 403
    assert send(SignedUpload("POST", signed.url, signed.headers), b"x") == 403
    assert not gcs.bucket.objects


def test_a_url_ends(gcs: Gcs, sign: Sign) -> None:
    assert send(sign(expires=timedelta(seconds=-1)), b"x") == 403
    assert not gcs.bucket.objects


def test_a_session_is_begun_by_the_signed_request_only(gcs: Gcs, sign: Sign) -> None:
    signed = sign(is_resumable=True)
    assert (signed.method, signed.headers["x-goog-resumable"]) == ("POST", "start")
    assert send(signed, b"") == 201
    assert send(signed, b"", x_goog_resumable="") == 403


def test_an_account_that_is_impersonated_signs_by_iam(
    sign: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """IAM cannot be reached from here, so that it is asked for is all that is seen."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(StorageError, match="sign an upload of it"):
        sign(account=ACCOUNT)


def test_credentials_that_cannot_sign_are_told(
    sign: Sign, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    user = {"type": "authorized_user", "client_id": "i", "client_secret": "s", "refresh_token": "r"}
    (tmp_path / "user.json").write_text(json.dumps(user))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "user.json"))
    with pytest.raises(StorageError, match=r"key of a service account, or --as ACCOUNT"):
        sign()


Run = Callable[..., Result]


@pytest.fixture
def run(gcs: Gcs, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """The command in a project on Google Cloud."""
    settings = {
        "STORAGE": "gcs",
        "TABLES": "bigquery",
        "AUTH": "iam",
        "PROJECT": "p",
        "BUCKET": gcs.bucket.name,
        "UPLOAD_LIMIT": "2000000",
    }
    for name, value in settings.items():
        monkeypatch.setenv(f"SKYBLEND_{name}", value)

    def invoke(*arguments: object) -> Result:
        given = ["--data", str(tmp_path / "data"), "upload-url", *map(str, arguments)]
        return CliRunner().invoke(cli, given)

    return invoke


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is absent")
@pytest.mark.parametrize("options", [(), ("--resumable",)], ids=["at once", "resumable"])
def test_the_printed_command_uploads_the_file(
    gcs: Gcs, run: Run, tmp_path: Path, options: tuple[str, ...]
) -> None:
    file = tmp_path / "a file's name.csv"
    file.write_bytes(b"line\n" * 300_000)
    result = run(file, "--source", "tidy", "--collect", *options)
    assert result.exit_code == 0, result.output
    url, _, command = result.output.partition("\n\n")
    assert url in command
    subprocess.run(["sh", "-ec", command], check=True, capture_output=True, timeout=30)
    [(name, stored)] = gcs.bucket.objects.items()
    said = stated(name)
    assert (said.file_name, said.source, said.collect) == (file.name, "tidy", True)
    assert stored.data == file.read_bytes()
    assert not (tmp_path / "data").exists()


def test_what_cannot_be_signed_for_is_refused(run: Run) -> None:
    assert "expected one of" in str(run("a.csv", "--source", "sms").exception)
    assert "at most 7 days like 30m" in run("a.csv", "--expires", "8d").output
    assert "at most 7 days like 30m" in run("a.csv", "--expires", "soon").output


def test_a_data_folder_needs_no_url(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SKYBLEND_STORAGE", "folder")
    monkeypatch.setenv("SKYBLEND_TABLES", "duckdb")
    monkeypatch.setenv("SKYBLEND_AUTH", "token")
    result = run("a.csv")
    assert result.exit_code == 1
    assert "takes any size" in result.output


def test_the_url_names_the_object_as_it_is(sign: Sign) -> None:
    assert quote(NAME) in urlsplit(sign().url).path
