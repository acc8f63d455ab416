"""What Pub/Sub gave up: its dead letters, pulled, looked at, and let go.

A pull leases a message; who looks gives the lease back, and who dies gives it back by its time.
Imported only where dead letters are asked for, since it brings gRPC.
"""

import json
import os
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from google.api_core.exceptions import DeadlineExceeded
from google.cloud.pubsub_v1 import SubscriberClient  # type: ignore[import-untyped]
from skyblend.runtime.bus import DeadLetter, topics
from skyblend.runtime.bus.emulator import ADDRESS

MOST = 1000  # letters that are looked at in one go
_ADDED = "CloudPubSubDeadLetterSource"  # what the names of Pub/Sub's own attributes begin with
_CALL_SECONDS, _LEASE_SECONDS = 20.0, 60
_PULLED = 200  # of a call
# How long the first pull waits, which may have to connect and to be let in, and the next ones.
_PATIENCE, _PATIENCE_HERE = (5.0, 2.0), (2.0, 0.5)


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter with all its copies: Pub/Sub may give up the same message more than once."""

    letter: DeadLetter
    topic: str
    data: bytes
    attributes: Mapping[str, str]
    ids: frozenset[str]
    leases: tuple[str, ...]


class GivenUp:
    """The pull subscription of the dead letters, for one thread."""

    def __init__(self, project: str, *, prefix: str) -> None:
        self._client = SubscriberClient()
        self._prefix = prefix
        self._patience = _PATIENCE_HERE if os.environ.get(ADDRESS) else _PATIENCE
        self._acknowledged = set[str]()
        self._name = self._client.subscription_path(project, topics.dead_letters(prefix))

    @contextmanager
    def held(self) -> Iterator[list[Letter]]:
        """The letters that are there, oldest first, leased for the time of a block. What is not
        acknowledged in it is free again afterwards."""
        received: list[Any] = []
        try:
            self._pull(received)
            yield letters(received, prefix=self._prefix)
        finally:
            leases = {one.ack_id for one in received} - self._acknowledged
            self._acknowledged.clear()
            self._lease([*leases], 0)

    def acknowledge(self, done: Iterable[Letter]) -> None:
        """Be done with letters and their copies."""
        for leases in _pieces([lease for one in done for lease in one.leases]):
            self._client.acknowledge(subscription=self._name, ack_ids=leases, timeout=_CALL_SECONDS)
            self._acknowledged.update(leases)

    def close(self) -> None:
        self._client.close()

    def _pull(self, received: list[Any]) -> None:
        """Pull until nothing comes; a pull waits some seconds for the first message."""
        first, then = self._patience
        while len(received) < MOST:
            try:
                answer = self._client.pull(
                    subscription=self._name,
                    max_messages=min(_PULLED, MOST - len(received)),
                    timeout=then if received else first,
                    retry=None,
                )
            except DeadlineExceeded:
                return
            if not answer.received_messages:
                return
            received.extend(answer.received_messages)
            self._lease([one.ack_id for one in answer.received_messages], _LEASE_SECONDS)

    def _lease(self, leases: list[str], seconds: int) -> None:
        for some in _pieces(leases):
            self._client.modify_ack_deadline(
                subscription=self._name,
                ack_ids=some,
                ack_deadline_seconds=seconds,
                timeout=_CALL_SECONDS,
            )


def letters(received: Iterable[Any], *, prefix: str) -> list[Letter]:
    """What was pulled, copies put together, oldest first."""
    copies: dict[tuple[object, ...], list[Any]] = {}
    for one in received:
        copies.setdefault(_identity(one.message), []).append(one)
    return [_letter(copies[identity], prefix) for identity in sorted(copies)]


def _identity(message: Any) -> tuple[object, ...]:
    """What copies of one given-up message share, its time of publication first."""
    source = message.attributes.get
    return (
        source(f"{_ADDED}TopicPublishTime", ""),
        source(f"{_ADDED}Subscription", ""),
        tuple(sorted(_own(message).items())),
        message.data,
    )


def _letter(copies: list[Any], prefix: str) -> Letter:
    first = min((one.message for one in copies), key=lambda one: (one.publish_time, one.message_id))
    own, source = _own(first), first.attributes.get(f"{_ADDED}Subscription", "").split("/")[-1]
    kind = own.get("type", "")
    return Letter(
        letter=DeadLetter(
            id=first.message_id,
            type=kind or source.removeprefix(prefix) or "unknown",
            envelope=_envelope(first, own, source),
            reason=_reason(first.attributes, source),
        ),
        topic=source if source.startswith(prefix) else topics.topic(prefix, kind),
        data=first.data,
        attributes=own,
        ids=frozenset(one.message.message_id for one in copies),
        leases=tuple(dict.fromkeys(one.ack_id for one in copies)),
    )


def _own(message: Any) -> dict[str, str]:
    """The attributes that it was published with."""
    return {
        name: value for name, value in message.attributes.items() if not name.startswith(_ADDED)
    }


def _envelope(message: Any, own: Mapping[str, str], source: str) -> bytes:
    """The body of the push that was refused, as far as it is known."""
    published = message.attributes.get(f"{_ADDED}TopicPublishTime", "")
    body = {
        "data": b64encode(message.data).decode(),
        "attributes": own,
        "messageId": message.message_id,
        "publishTime": published or message.publish_time.isoformat(),
    }
    return json.dumps({"message": body, "subscription": source}).encode()


def _reason(attributes: Mapping[str, str], source: str) -> str:
    count = attributes.get(f"{_ADDED}DeliveryCount", "several")
    why = attributes.get(f"{_ADDED}DeliveryErrorMessage", "")
    told = f"{count} pushes of {source or 'an unknown subscription'} were not acknowledged"
    return f"{told}: {why}" if why else f"{told}; the log of the service tells why"


def _pieces(leases: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(leases), _PULLED):
        yield leases[start : start + _PULLED]
