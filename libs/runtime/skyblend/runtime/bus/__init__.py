"""The bus: events that are delivered at least once, behind one Protocol.

An event is a message of events.proto. It is delivered by a push to the endpoint of its type
(`ROUTES`), in Pub/Sub's form; 204 is an acknowledgement, anything else is tried again with
back-off, and after `MAX_ATTEMPTS` answers it is a dead letter.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Protocol

from google.protobuf.message import Message

MAX_ATTEMPTS = 5

# Type of the event -> method and path of its endpoint; no two services share one.
ROUTES = {
    "RawStored": "/v1/events/raw-stored",
    "RecordsReady": "/v1/events/records-ready",
    "ModelPromoted": "/v1/events/model-promoted",
    "CollectTask": "/v1/events/collect-task",
}


class BusError(OSError):
    """The bus could not take or give what was asked; a repeat may help."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that was given up after MAX_ATTEMPTS answers: the push's body, and the last
    reason that is known."""

    id: str
    type: str
    envelope: bytes
    reason: str


class Bus(Protocol):
    """Takes events; when `publish` returns, the event outlives a kill -9."""

    def publish(self, event: Message, *, trace: str) -> str:
        """Hand over an event with the trace id that it belongs to; gives the message's id."""
        ...

    def publish_all(self, events: Iterable[Message], *, trace: str) -> list[str]:
        """Hand over several at once; gives their ids. After an error some of them may be on their
        way."""
        ...

    def dead_letters(self) -> list[DeadLetter]:
        """What was given up, oldest first."""
        ...

    def replay(self, id_: str) -> bool:
        """Deliver a dead letter again, with all its attempts; False where there is none of this
        id."""
        ...

    def replay_all(self, ids: Collection[str]) -> list[str]:
        """Replay several; gives the ids of those that were there."""
        ...

    def close(self) -> None:
        """Give up what is held; publishing is over."""
        ...
