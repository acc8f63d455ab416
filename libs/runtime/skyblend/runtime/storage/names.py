"""Which names an object may have, the same for every implementation."""

import re

from skyblend.runtime.storage import StorageError

LONGEST_NAME, LONGEST_PART = 900, 255  # bytes of UTF-8: what Cloud Storage and file systems take
_FORBIDDEN = re.compile(r"[\\\x00-\x1f\x7f]")


def problem(name: str) -> str | None:  # noqa: PLR0911 - one for each reason
    """Why `name` is refused, or None."""
    try:
        encoded = name.encode()
    except UnicodeEncodeError:
        return "it is not valid Unicode"
    if _FORBIDDEN.search(name):
        return "it holds a backslash or a control character"
    if len(encoded) > LONGEST_NAME:
        return f"it has {len(encoded)} bytes, at most {LONGEST_NAME} are allowed"
    for part in encoded.split(b"/"):
        if not part:
            return "it is empty, begins or ends with a slash, or holds two in a row"
        if part.startswith(b"."):
            return "a part of it begins with a dot"
        if len(part) > LONGEST_PART:
            return f"a part of it has {len(part)} bytes, at most {LONGEST_PART} are allowed"
    return None


def check(name: str) -> str:
    """The name itself; raises StorageError where it is refused."""
    if (reason := problem(name)) is not None:
        raise StorageError(repr(name[:80]), f"not a name of an object: {reason}")
    return name
