"""The bus on Google Pub/Sub: it pushes, repeats and gives up by itself; we publish, and look at
what it gave up.

Clients are made at their first use. PUBSUB_EMULATOR_HOST sends them to Google's emulator.
"""

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from google.protobuf.message import Message
from skyblend.runtime.bus import BusError, DeadLetter, topics
from skyblend.runtime.bus.push import attributes, content, event_type

if TYPE_CHECKING:
    from google.cloud.pubsub_v1 import PublisherClient  # type: ignore[import-untyped]
    from skyblend.runtime.bus.given_up import GivenUp, Letter

# ruff: noqa: PLC0415 - gRPC costs half a second to import; only who publishes pays it
PUBLISH_SECONDS = 25.0  # with all repeats: below the time-out of whoever waits for our answer
_CALL_SECONDS = 10.0
_SLACK_SECONDS = 5.0
_AT_ONCE = 200  # dead letters that are published again before they are acknowledged


class PubsubBus:
    """The topics of `project` whose names begin with `prefix`. Safe for threads. What cannot be
    done in time raises BusError."""

    def __init__(
        self, project: str, *, prefix: str, publish_seconds: float = PUBLISH_SECONDS
    ) -> None:
        self.project, self.prefix = project, prefix
        self._seconds = publish_seconds
        self._lock = threading.Lock()
        self._made: PublisherClient | None = None
        self._letters: GivenUp | None = None

    def publish(self, event: Message, *, trace: str) -> str:
        return self.publish_all([event], trace=trace)[0]

    def publish_all(self, events: Iterable[Message], *, trace: str) -> list[str]:
        """Publish several in few calls; returns when Pub/Sub has acknowledged each. After a
        BusError some may be published nevertheless: a repeat publishes them twice, which is
        harmless."""
        outgoing = [
            (topics.topic(self.prefix, event_type(event)), content(event), attributes(event, trace))
            for event in events
        ]
        return self._send(outgoing)

    def dead_letters(self) -> list[DeadLetter]:
        """What was given up, oldest first, at most given_up.MOST of them. What another command
        looks at in this moment is not seen."""
        with _trouble("the dead letters cannot be read"), self._given_up().held() as letters:
            return [one.letter for one in letters]

    def replay(self, id_: str) -> bool:
        return bool(self.replay_all([id_]))

    def replay_all(self, ids: Collection[str]) -> list[str]:
        """Publish these dead letters again, to the topics that they came from; gives the ids of
        those that were there. A letter is acknowledged after that, so a crash in between repeats
        it and loses nothing."""
        wanted = set(ids)
        with _trouble("the dead letters cannot be replayed"), self._given_up().held() as letters:
            chosen = [one for one in letters if one.ids & wanted]
            for some in _pieces(chosen):
                self._send([(one.topic, one.data, one.attributes) for one in some])
                self._given_up().acknowledge(some)
            there = frozenset[str]().union(*(one.ids for one in chosen))
            return [id_ for id_ in ids if id_ in there]

    def close(self) -> None:
        with self._lock:
            if self._made is not None:
                self._made.stop()
                self._made.transport.close()
                self._made = None
            if self._letters is not None:
                self._letters.close()
                self._letters = None

    def _send(self, outgoing: Collection[tuple[str, bytes, Mapping[str, str]]]) -> list[str]:
        """Hand all over, then wait for all: the library makes batches of them."""
        if not outgoing:
            return []
        with _trouble("an event cannot be published"):
            client = self._publisher()
            futures = [
                client.publish(client.topic_path(self.project, topic), data, **named)
                for topic, data, named in outgoing
            ]
            end = time.monotonic() + self._seconds + _SLACK_SECONDS
            return [one.result(timeout=max(0.0, end - time.monotonic())) for one in futures]

    def _publisher(self) -> "PublisherClient":
        with self._lock:
            self._made = self._made or _publisher(self._seconds)
            return self._made

    def _given_up(self) -> "GivenUp":
        from skyblend.runtime.bus.given_up import GivenUp

        with self._lock:
            self._letters = self._letters or GivenUp(self.project, prefix=self.prefix)
            return self._letters


def _pieces(chosen: "list[Letter]") -> "Iterator[list[Letter]]":
    """So few that they are published while their leases last."""
    for start in range(0, len(chosen), _AT_ONCE):
        yield chosen[start : start + _AT_ONCE]


def _publisher(seconds: float) -> "PublisherClient":
    from google.api_core.retry import Retry
    from google.cloud.pubsub_v1 import PublisherClient, types

    retry = Retry(
        predicate=_is_passing(), initial=0.1, multiplier=2.0, maximum=5.0, timeout=seconds
    )
    call = min(_CALL_SECONDS, seconds)
    return PublisherClient(publisher_options=types.PublisherOptions(retry=retry, timeout=call))


def _is_passing() -> "Callable[[Exception], bool]":
    """Trouble that a repeat may cure; the same kinds as the library's own choice."""
    from google.api_core import exceptions
    from google.api_core.retry import if_exception_type

    return if_exception_type(
        exceptions.Aborted,
        exceptions.Cancelled,
        exceptions.DeadlineExceeded,
        exceptions.InternalServerError,
        exceptions.ResourceExhausted,
        exceptions.ServiceUnavailable,
        exceptions.Unknown,
    )


@contextmanager
def _trouble(what: str) -> Iterator[None]:
    """Turn what Google's libraries raise into a BusError."""
    from google.api_core.exceptions import GoogleAPIError
    from google.auth.exceptions import GoogleAuthError
    from google.cloud.pubsub_v1 import publisher

    try:
        yield
    except BusError:
        raise
    except (
        GoogleAPIError,
        GoogleAuthError,
        publisher.exceptions.MessageTooLargeError,
        TimeoutError,
    ) as error:
        raise BusError(f"{what}: {type(error).__name__}: {_line(error)}") from error


def _line(error: BaseException) -> str:
    """What an error says, in one line; a RetryError says it of the error that it gave up on."""
    return " ".join(str(error.__cause__ or error).split())[:300] or "no answer in time"
