"""Who may change something: one Protocol, chosen once by SKYBLEND_AUTH.

token   the laptop's: the token of the data folder
iam     Cloud Run has checked the caller before the request came to us
oidc    we check the caller's identity token
none    everybody, said explicitly: for an emulator on loopback
"""

from collections.abc import Mapping
from typing import Protocol

from skyblend.runtime import guards
from skyblend.runtime.guards import Refusal


class Access(Protocol):
    """Decides on the headers of a request that changes something (`get(name, default)` is all that
    is asked of them)."""

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        """Why the request is refused, None where it may."""
        ...


class TokenAccess:
    """Whoever shows the token of the data folder."""

    def __init__(self, token: str) -> None:
        self._token = token

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        return guards.check_token(headers.get("Authorization", ""), self._token)


class OpenAccess:
    """Everybody."""

    def refuse(self, headers: Mapping[str, str]) -> Refusal | None:
        return None
