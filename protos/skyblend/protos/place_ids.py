"""What a place id may be, and how it stands in an object's name."""

import re
from urllib.parse import quote, unquote

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LONGEST = 64


def problem(place_id: str) -> str | None:
    """Why `place_id` is refused, or None: 1 to 64 characters, no slash, backslash, control
    character or leading dot."""
    if not 1 <= len(place_id) <= LONGEST:
        return f"a place id has 1 to {LONGEST} characters, got {len(place_id)}"
    if place_id.startswith("."):
        return f"a place id does not begin with a dot, got {place_id!r}"
    if _FORBIDDEN.search(place_id):
        return f"a place id holds no slash, backslash or control character, got {place_id!r}"
    if place_id != place_id.strip():
        return f"a place id does not begin or end with a blank, got {place_id!r}"
    return None


def object_part(place_id: str) -> str:
    """The id as it stands in object names: itself where plain, else percent-encoded; ValueError
    where refused."""
    if (reason := problem(place_id)) is not None:
        raise ValueError(reason)
    return place_id if _PLAIN.fullmatch(place_id) else quote(place_id, safe="-_.")


def from_object_part(part: str) -> str:
    """The id behind `object_part`."""
    return unquote(part)
