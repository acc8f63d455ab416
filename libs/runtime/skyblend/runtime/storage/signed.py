"""Signed URLs: whoever has one may upload a file of a bounded size to one name, as often as they
like until it expires; what was taken over meanwhile is not touched by it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from skyblend.runtime.storage import StorageError
from skyblend.runtime.storage.gcs_calls import told
from skyblend.runtime.storage.names import check

if TYPE_CHECKING:
    from google.auth.credentials import Signing

# ruff: noqa: PLC0415 - the Google clients are imported where they are used
LONGEST = timedelta(days=7)  # what Cloud Storage allows
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_RANGE = "x-goog-content-length-range"


@dataclass(frozen=True, slots=True)
class SignedUpload:
    """A request that uploads: with these headers and no others that begin with `x-goog-`. A POST
    gives in `Location` the address of a session, to which the file is PUT, and which goes on after
    an interruption."""

    method: str
    url: str
    headers: Mapping[str, str]


def sign_upload(
    bucket: str,
    name: str,
    *,
    project: str,
    limit: int,
    expires: timedelta,
    account: str = "",
    is_resumable: bool = False,
) -> SignedUpload:
    """Sign an upload of at most `limit` bytes with the key of a service account, or as `account`,
    which the credentials may impersonate: then IAM signs. Raises StorageError where neither can."""
    from google.cloud.storage import Client  # type: ignore[import-untyped]

    headers = {_RANGE: f"0,{limit}"}
    with told(check(name), "sign an upload of"):
        credentials = _signer(name, account)
        client = Client(project=project, credentials=credentials)
        url = (
            client.bucket(bucket)
            .blob(name)
            .generate_signed_url(
                version="v4",
                expiration=min(expires, LONGEST),
                method="RESUMABLE" if is_resumable else "PUT",
                headers=dict(headers),
                credentials=credentials,
            )
        )
        client.close()
    if is_resumable:
        return SignedUpload("POST", url, {**headers, "x-goog-resumable": "start"})
    return SignedUpload("PUT", url, headers)


def _signer(name: str, account: str) -> "Signing":
    """Credentials that can sign: a key's own, or those of an account that IAM signs for."""
    import google.auth
    from google.auth.credentials import Signing
    from google.auth.impersonated_credentials import Credentials as Impersonated

    found: Any = google.auth.default(scopes=_SCOPES)[0]
    if account:
        found = Impersonated(  # type: ignore[no-untyped-call]
            source_credentials=found, target_principal=account, target_scopes=_SCOPES
        )
    if not isinstance(found, Signing):
        raise StorageError(
            name,
            "expected credentials that can sign an upload: the key of a service account, or"
            f" --as ACCOUNT with one that yours may impersonate; got {type(found).__name__}",
        )
    return found
