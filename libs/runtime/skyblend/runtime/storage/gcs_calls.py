"""Calls to Cloud Storage: the client, how long it tries again, and what its errors mean."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from skyblend.runtime.storage import Absent, Changed, StorageError

if TYPE_CHECKING:
    from google.auth.credentials import Credentials
    from google.cloud.storage import Client  # type: ignore[import-untyped]
    from requests import Response

# ruff: noqa: PLC0415 - the Google clients cost 0.4 s to import, and only the cloud needs them

EMULATOR = "STORAGE_EMULATOR_HOST"
TIMEOUT = (5.0, 60.0)  # seconds to connect, and between two pieces of an answer
PATIENCE = 60.0  # seconds for which a call is tried again
CONNECTIONS = 80  # kept open: as many requests as Cloud Run gives one instance by default
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
# The client would ask for the bucket's metadata beside its first call, for traces that we make
# ourselves, and services may not read a bucket's metadata.
_NO_BUCKET_METADATA = "DISABLE_GCS_PYTHON_CLIENT_OTEL_BUCKET_METADATA"


def connect(project: str) -> "Client":
    """A client with one pool of connections for all threads; anonymous where an emulator stands in
    the environment. Raises google.auth's error where there are no credentials."""
    from google.auth.transport.requests import AuthorizedSession
    from google.cloud.storage import Client
    from requests.adapters import HTTPAdapter

    os.environ.setdefault(_NO_BUCKET_METADATA, "true")
    credentials = _credentials()
    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    for scheme in ("https://", "http://"):
        session.mount(scheme, HTTPAdapter(pool_connections=4, pool_maxsize=CONNECTIONS))
    session.hooks["response"].append(_read_refusal)
    return Client(project=project, credentials=credentials, _http=session)


def _read_refusal(response: "Response", *_: object, **__: object) -> None:
    """Read what a refusal says, which the client leaves unread where it tries again: the connection
    would be lost to the pool."""
    if not response.ok:
        response.content  # noqa: B018 - reads it


def _credentials() -> "Credentials":
    import google.auth
    from google.auth.credentials import AnonymousCredentials

    if os.environ.get(EMULATOR):
        return AnonymousCredentials()  # type: ignore[no-untyped-call]
    found: Credentials = google.auth.default(scopes=(_SCOPE,))[0]
    return found


class Tries:
    """Tries a call again while a repeat may help, and knows whether it did: only then may our own
    write stand in the way of its repeat."""

    def __init__(self, patience: float) -> None:
        from google.cloud.storage.retry import DEFAULT_RETRY  # type: ignore[import-untyped]

        first, longest = min(1.0, patience / 60), min(16.0, patience / 4)
        delays = DEFAULT_RETRY.with_delay(initial=first, maximum=longest, multiplier=2.0)
        self._retry = delays.with_timeout(patience)
        self.again = 0

    def __call__(self, call: Callable[..., Any]) -> Callable[..., Any]:
        tried: Callable[..., Any] = self._retry(call, on_error=self._count)
        return tried

    def _count(self, _: Exception) -> None:
        self.again += 1


@contextmanager
def told(name: str, doing: str) -> Iterator[None]:
    """Raise what goes wrong with an object as StorageError: Absent and Changed where Cloud Storage
    says so, all else with what was being done and why it failed."""
    import requests
    import urllib3
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.storage.exceptions import DataCorruption  # type: ignore[import-untyped]

    transport = (requests.RequestException, urllib3.exceptions.HTTPError, ConnectionError)
    try:
        yield
    except GoogleAPIError as error:
        raise _meaning(error, name, doing) from error
    except GoogleAuthError as error:
        reason = f"Google's credentials do not serve to {doing} it: {_line(error)}"
        raise StorageError(name, reason) from error
    except DataCorruption as error:
        reason = f"expected the bytes of its checksum to {doing}, got others"
        raise StorageError(name, reason) from error
    except transport as error:
        raise StorageError(name, f"Cloud Storage does not answer to {doing} it") from error


def _meaning(error: Any, name: str, doing: str) -> StorageError:
    """The error that Cloud Storage's answer stands for. A missing bucket is no missing object, or
    a wrong name of a bucket would look like an empty one."""
    from google.api_core.exceptions import NotFound, PreconditionFailed, RetryError

    if isinstance(error, RetryError):
        return StorageError(name, f"gave up trying to {doing} it: {_line(error.cause or error)}")
    if isinstance(error, NotFound) and "bucket does not exist" not in str(error):
        return Absent(name, "there is no such object")
    if isinstance(error, PreconditionFailed):
        return Changed(name, "expected another generation than stands there")
    return StorageError(name, f"Cloud Storage refuses to {doing} it: {_line(error)}")


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
