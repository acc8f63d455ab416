"""Who may change something: one Protocol, chosen once by SKYBLEND_AUTH.

token   the laptop's: the token of the data folder
iam     Cloud Run has checked the caller before the request came to us (identity.py)
oidc    we check the caller's identity token (identity.py)
none    everybody, said explicitly: for an emulator on loopback

A command on the cloud serves nobody: it need not choose, and lets nobody in.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Protocol

from skyblend.runtime import guards
from skyblend.runtime.guards import Refusal

_LOG = logging.getLogger(__name__)


class Access(Protocol):
    """Decides on the headers of a request that changes something (`get(name, default)` and `in`
    are all that is asked of them)."""

    @property
    def any_host(self) -> bool:
        """Whether the service may be called by any name. A web page that points its own name at
        this machine reaches what is bound to loopback; a service in the cloud has names that we
        cannot know, and is reached by them anyway."""
        ...

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        """Why the request is refused, None where it may."""
        ...


class TokenAccess:
    """Whoever shows the token of the data folder."""

    any_host = False

    def __init__(self, token: str) -> None:
        self._token = token

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        return guards.check_token(headers.get("Authorization", ""), self._token)


class NoAccess:
    """Nobody: what a program has that serves nobody."""

    any_host = False

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        return Refusal(HTTPStatus.FORBIDDEN, "forbidden", "this program serves nobody")


class OpenAccess:
    """Everybody: on loopback, so that the Host still keeps web pages out."""

    any_host = False

    def __init__(self) -> None:
        _LOG.warning("SKYBLEND_AUTH is none: whoever reaches this service may change everything")

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        return None
