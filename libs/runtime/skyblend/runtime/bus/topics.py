"""Names in Pub/Sub: a topic for each event, its push subscription of the same name, and one place
for dead letters."""

import re
from collections.abc import Iterator

from skyblend.runtime.bus import ROUTES

DEAD_LETTERS = "dead-letters"


def topic(prefix: str, kind: str) -> str:
    """The topic of a type of event: RawStored is `skyblend-raw-stored`."""
    return prefix + re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()


def pushed(prefix: str) -> Iterator[tuple[str, str]]:
    """Each topic that is pushed, and the path that it is pushed to."""
    for kind, path in ROUTES.items():
        yield topic(prefix, kind), path


def dead_letters(prefix: str) -> str:
    """The topic of what was given up, and the subscription that keeps it."""
    return prefix + DEAD_LETTERS
