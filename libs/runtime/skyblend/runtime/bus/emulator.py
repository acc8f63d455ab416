"""Topics and subscriptions in Google's Pub/Sub emulator, as Terraform makes them in the cloud.

But for the retry policy: with one, the emulator (0.8.20, November 2026) forgets messages that
failed at the same moment after their third push. Without one it tries each second, so that five
pushes to an endpoint that is down take four seconds; in the cloud they take minutes.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from skyblend.runtime.bus import MAX_ATTEMPTS, topics
from skyblend.runtime.settings import Misconfigured

# ruff: noqa: PLC0415 - gRPC is imported where it is used
ADDRESS = "PUBSUB_EMULATOR_HOST"
ACK_SECONDS = 600
_HELD_SECONDS = 60  # a dead letter that somebody looks at


@dataclass(frozen=True, slots=True)
class Patience:
    """How pushes are repeated: seconds to wait for an answer, and between two tries at least and at
    most, None: each second."""

    ack: int = ACK_SECONDS
    back_off: tuple[int, int] | None = None


def arrange(
    project: str, *, prefix: str, endpoint: Callable[[str], str], patience: Patience | None = None
) -> None:
    """Make what is absent of topics, push subscriptions and the place for dead letters, and push to
    `endpoint(path)` from now on. Raises Misconfigured without an emulator: in the cloud this is not
    ours to make."""
    if not os.environ.get(ADDRESS):
        raise Misconfigured(f"{ADDRESS} must name the emulator, like 127.0.0.1:8085; got nothing")
    from google.cloud.pubsub_v1 import (  # type: ignore[import-untyped]
        PublisherClient,
        SubscriberClient,
    )

    with PublisherClient() as publisher, SubscriberClient() as subscriber:
        place = _Place(project, publisher, subscriber, patience or Patience())
        place.keep(topics.dead_letters(prefix))
        for name, path in topics.pushed(prefix):
            place.push(name, endpoint(path), given_up=topics.dead_letters(prefix))


@dataclass(frozen=True, slots=True)
class _Place:
    """A project in the emulator."""

    project: str
    publisher: Any
    subscriber: Any
    patience: Patience

    def keep(self, name: str) -> None:
        """A topic with a pull subscription."""
        self._make(name, {"ack_deadline_seconds": _HELD_SECONDS})

    def push(self, name: str, endpoint: str, *, given_up: str) -> None:
        """A topic that is pushed to an endpoint."""
        config = {"push_endpoint": endpoint}
        give_up = {
            "dead_letter_topic": self._topic(given_up),
            "max_delivery_attempts": MAX_ATTEMPTS,
        }
        request: dict[str, Any] = {
            "ack_deadline_seconds": self.patience.ack,
            "push_config": config,
            "dead_letter_policy": give_up,
        }
        if self.patience.back_off is not None:
            least, most = self.patience.back_off
            request["retry_policy"] = {
                "minimum_backoff": {"seconds": least},
                "maximum_backoff": {"seconds": most},
            }
        is_new = self._make(name, request)
        if not is_new:
            self.subscriber.modify_push_config(
                subscription=self._subscription(name), push_config=config
            )

    def _make(self, name: str, subscription: dict[str, Any]) -> bool:
        """Whether it was absent."""
        from google.api_core.exceptions import AlreadyExists

        with suppress(AlreadyExists):
            self.publisher.create_topic(name=self._topic(name))
        request = {"name": self._subscription(name), "topic": self._topic(name), **subscription}
        try:
            self.subscriber.create_subscription(request=request)
        except AlreadyExists:
            return False
        return True

    def _topic(self, name: str) -> str:
        return f"projects/{self.project}/topics/{name}"

    def _subscription(self, name: str) -> str:
        return f"projects/{self.project}/subscriptions/{name}"
