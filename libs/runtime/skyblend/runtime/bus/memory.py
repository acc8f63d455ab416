"""The bus in memory, for tests and trials: it delivers when it is told to, and without waits."""

import secrets
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from google.protobuf.message import Message
from skyblend.runtime.bus import MAX_ATTEMPTS, ROUTES, DeadLetter
from skyblend.runtime.bus.delivery import Post, Unreachable
from skyblend.runtime.bus.push import encode, event_type

_HEADERS: Mapping[str, str] = {"Content-Type": "application/json"}


@dataclass(slots=True)
class _Message:
    id: str
    type: str
    envelope: bytes
    attempts: int = 0
    reason: str = ""

    @property
    def is_dead(self) -> bool:
        return self.attempts >= MAX_ATTEMPTS


class MemoryBus:
    """Messages in a dictionary, oldest first; gone with the process."""

    def __init__(self) -> None:
        self._messages: dict[str, _Message] = {}

    def publish(self, event: Message, *, trace: str) -> str:
        return self.publish_all([event], trace=trace)[0]

    def publish_all(self, events: Iterable[Message], *, trace: str) -> list[str]:
        made = [_message(event, trace) for event in events]
        self._messages |= {one.id: one for one in made}
        return [one.id for one in made]

    def deliver(self, post: Post) -> None:
        """Post what there is, and what is published meanwhile, until each message is done or dead.
        One that is Unreachable is tried again without counting, so `post` must end that."""
        while due := [one for one in self._messages.values() if not one.is_dead]:
            for message in due:
                self._deliver(message, post)

    def dead_letters(self) -> list[DeadLetter]:
        return [
            DeadLetter(one.id, one.type, one.envelope, one.reason)
            for one in self._messages.values()
            if one.is_dead
        ]

    def replay(self, id_: str) -> bool:
        return bool(self.replay_all([id_]))

    def replay_all(self, ids: Collection[str]) -> list[str]:
        dead = [one.id for one in self.dead_letters() if one.id in ids]
        for id_ in dead:
            self._messages[id_].attempts = 0
        return dead

    def close(self) -> None:
        """Nothing is held."""

    def _deliver(self, message: _Message, post: Post) -> None:
        try:
            status = post(ROUTES[message.type], message.envelope, _HEADERS)
        except Unreachable:
            return
        if status == 204:
            del self._messages[message.id]
        else:
            message.attempts += 1
            message.reason = f"answer {status}"


def _message(event: Message, trace: str) -> _Message:
    id_, now = secrets.token_hex(12), datetime.now(UTC)
    envelope = encode(event, trace=trace, message_id=id_, published_at=now)
    return _Message(id_, event_type(event), envelope)
