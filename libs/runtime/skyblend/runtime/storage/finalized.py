"""What Cloud Storage tells of an object that was written, as Pub/Sub pushes it: its own attributes,
not those of our events."""

import json
import re
from dataclasses import dataclass
from typing import Any

from skyblend.runtime.bus.push import BadPush

WRITTEN = "OBJECT_FINALIZE"
_GENERATION = re.compile(r"[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Finalized:
    """One generation of an object that was written."""

    bucket: str
    name: str
    generation: int


def decode(body: bytes) -> Finalized | None:
    """The object of a notification, None for another event than a write; raises BadPush. The
    object's own resource, which the payload may carry, is not needed."""
    attributes = _attributes(body)
    kind = _text(attributes, "eventType")
    if kind != WRITTEN:
        return None
    return Finalized(
        bucket=_text(attributes, "bucketId"),
        name=_text(attributes, "objectId"),
        generation=_number(_text(attributes, "objectGeneration")),
    )


def _attributes(body: bytes) -> dict[str, Any]:
    try:
        found: Any = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadPush("body", "JSON", str(error)[:200] or "nothing") from None
    for name in ("message", "attributes"):
        found = found.get(name) if isinstance(found, dict) else None
    if not isinstance(found, dict):
        raise BadPush("message.attributes", "those of a notification", type(found).__name__)
    return found


def _text(attributes: dict[str, Any], name: str) -> str:
    found = attributes.get(name)
    if not isinstance(found, str) or not found:
        raise BadPush(f"message.attributes.{name}", "a text", repr(found)[:80])
    return found


def _number(given: str) -> int:
    if not _GENERATION.fullmatch(given):
        raise BadPush("message.attributes.objectGeneration", "a number", repr(given)[:80])
    return int(given)
