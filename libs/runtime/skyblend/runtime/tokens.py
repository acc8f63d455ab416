"""The laptop's token: a secret in the data folder that whatever changes something must show."""

import hmac
import logging
import os
import secrets
import stat
from pathlib import Path

from skyblend.runtime.settings import Misconfigured

FILE = "token"
_SHORTEST = 20
_MODE = 0o600
_LOG = logging.getLogger(__name__)


def token(data: Path) -> str:
    """The token of a data folder, made at the first call; only the owner may read the file. Two
    that make it at once agree. A file that others may read is narrowed, one of another user is
    refused (Misconfigured)."""
    path = data / FILE
    if not path.exists():
        _create(path)
    _guard(path)
    found = path.read_text().strip()
    if len(found) < _SHORTEST:
        raise Misconfigured(
            f"{path} holds no token: expected {_SHORTEST} characters or more, got {len(found)};"
            " delete it and start again"
        )
    return found


def _guard(path: Path) -> None:
    found = path.stat()
    if found.st_uid != os.geteuid():
        raise Misconfigured(
            f"{path} belongs to user {found.st_uid}, this is user {os.geteuid()}, who cannot tell"
            " who knows it: delete it and start again"
        )
    if (mode := stat.S_IMODE(found.st_mode)) & ~_MODE:
        path.chmod(_MODE)
        _LOG.error("%s had mode %04o: now %04o; who read it knows it still", path, mode, _MODE)


def _create(path: Path) -> None:
    """Write the file beside its place and link it there, so that nobody ever reads half a token."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{FILE}-{secrets.token_hex(8)}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _MODE)
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
            stream.flush()
            os.fsync(stream.fileno())
        os.link(draft, path)
    except FileExistsError:  # another process was first
        return
    finally:
        draft.unlink()


def bearer(value: str) -> str:
    """The Authorization header that shows a token."""
    return f"Bearer {value}"


def is_shown(header: str, value: str) -> bool:
    """Whether an Authorization header shows the token; takes the same time for every wrong one."""
    scheme, _, given = header.partition(" ")
    matches = hmac.compare_digest(given.strip().encode(), value.encode())
    return scheme.lower() == "bearer" and bool(value) and matches
