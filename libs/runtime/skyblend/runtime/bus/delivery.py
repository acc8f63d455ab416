"""Delivers the laptop bus's messages to the push endpoints, as Pub/Sub would."""

import logging
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from threading import Event
from typing import Protocol

from skyblend.runtime.bus import ROUTES, BusError
from skyblend.runtime.bus.sqlite import Delivery, SqliteBus
from skyblend.runtime.metrics import DELIVERIES
from skyblend.runtime.tokens import bearer

IN_FLIGHT = 2
POLL_SECONDS = 0.2
RECOVER_SECONDS = 5.0
EXTEND_SECONDS = 60.0
TROUBLE_SECONDS = 1.0
_LOG = logging.getLogger(__name__)


class Unreachable(Exception):
    """The endpoint could not be connected to, so it never saw the message."""


class Post(Protocol):
    """One POST, over HTTP or into a WSGI application of the same process; gives the status, raises
    Unreachable."""

    def __call__(self, path: str, body: bytes, headers: Mapping[str, str]) -> int: ...


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of deliveries: acknowledged, to be tried again, given up."""

    done: int = 0
    later: int = 0
    dead: int = 0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.done + other.done, self.later + other.later, self.dead + other.dead)


class Deliverer:
    """Leases messages and posts them, `IN_FLIGHT` at a time."""

    def __init__(self, bus: SqliteBus, post: Post, *, token: str) -> None:
        self._bus, self._post, self._token = bus, post, token
        self._flights: dict[Future[Counts], str] = {}
        self._extended = self._recovered = float("-inf")

    def run(self, stop: Event) -> None:
        """Deliver until `stop` is set; what is in flight then is finished. A publish in this
        process is seen at once, one of another process after POLL_SECONDS."""
        with ThreadPoolExecutor(IN_FLIGHT, "deliver") as pool:
            while not stop.is_set():
                try:
                    self._step(pool)
                except BusError:  # a full or locked disk: leases end, so nothing is lost
                    _LOG.exception("the bus could not be read or written")
                    stop.wait(TROUBLE_SECONDS)

    def drain(self, is_mine: Callable[[str], bool] | None = None) -> Counts:
        """Deliver until nothing is due now, also what the deliveries published; `is_mine` chooses
        by message id."""
        total = Counts()
        with ThreadPoolExecutor(IN_FLIGHT, "deliver") as pool:
            self._bus.recover()
            while self._launch(pool, is_mine) or self._flights:
                wait(self._flights, timeout=EXTEND_SECONDS, return_when=FIRST_COMPLETED)
                self._maintain()
                total += self._land()
        return total

    def _step(self, pool: ThreadPoolExecutor) -> None:
        self._bus.published.clear()
        self._maintain()
        self._launch(pool, None)
        self._pause()
        self._land()

    def _launch(self, pool: ThreadPoolExecutor, only: Callable[[str], bool] | None) -> int:
        free = IN_FLIGHT - len(self._flights)
        leased = self._bus.lease(free, only=only) if free else []
        for delivery in leased:
            self._flights[pool.submit(self._deliver, delivery)] = delivery.id
        return len(leased)

    def _pause(self) -> None:
        """Until something can be launched or landed."""
        if len(self._flights) == IN_FLIGHT:
            wait(self._flights, timeout=EXTEND_SECONDS, return_when=FIRST_COMPLETED)
        else:
            self._bus.published.wait(POLL_SECONDS)

    def _land(self) -> Counts:
        total = Counts()
        for flight in [flight for flight in self._flights if flight.done()]:
            del self._flights[flight]
            total += flight.result()
        return total

    def _maintain(self) -> None:
        now = time.monotonic()
        if self._flights and now - self._extended >= EXTEND_SECONDS:
            self._bus.extend(self._flights.values())
            self._extended = now
        if now - self._recovered >= RECOVER_SECONDS:
            self._bus.recover()
            self._recovered = now

    def _deliver(self, delivery: Delivery) -> Counts:
        counts, outcome = self._push(delivery)
        self._bus.published.set()  # a place is free
        DELIVERIES.labels(delivery.type, outcome).inc()
        return counts

    def _push(self, delivery: Delivery) -> tuple[Counts, str]:
        headers = {"Authorization": bearer(self._token), "Content-Type": "application/json"}
        path = ROUTES[delivery.type]
        try:
            status = self._post(path, delivery.envelope, headers)
        except Unreachable as error:
            self._bus.nack(delivery.id, str(error), answered=False)
            return Counts(later=1), "unreachable"
        if status == 204:
            self._bus.ack(delivery.id)
            return Counts(done=1), "done"
        dead = self._bus.nack(delivery.id, f"answer {status}")
        _LOG.log(
            logging.ERROR if dead else logging.WARNING,
            "%s answered %d to %s, attempt %d%s",
            path,
            status,
            delivery.id,
            delivery.attempt,
            ": given up" if dead else "",
        )
        return (Counts(dead=1), "dead") if dead else (Counts(later=1), "later")
