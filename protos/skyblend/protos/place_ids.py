"""What a place id may be, and how it stands in an object's name."""

import re
from urllib.parse import quote, unquote

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_FORBIDDEN = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
LONGEST = 64
# A part of an object's name may have 255 bytes, so a longer id is cut into folders. Each ends in
# `%`, as no file here does, and what follows begins with it, so never with a dot.
_PIECE, _CUT = 200, "%/%"


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
    if _PLAIN.fullmatch(place_id):
        return place_id
    encoded = quote(place_id, safe="-_.")
    return _CUT.join(encoded[at : at + _PIECE] for at in range(0, len(encoded), _PIECE))


def is_object_part(part: str) -> bool:
    """Whether this may stand for one id: a slash is there only where a long id is cut."""
    return "/" not in part.replace(_CUT, "")


def from_object_part(part: str) -> str:
    """The id behind `object_part`."""
    return unquote(part.replace(_CUT, ""))
