"""The laptop's bus: one SQLite file that several processes publish to and lease from.

A message is there until it is acknowledged. Who delivers it holds a lease on it; the lease ends
with an answer, with its time, or with its holder: each holder keeps a lock on a file beside the
bus, and what a dead one held is free at once.
"""

import random
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.protobuf.message import Message
from skyblend.runtime.bus import MAX_ATTEMPTS, Bus, BusError, DeadLetter
from skyblend.runtime.bus.holder import Holder
from skyblend.runtime.bus.push import encode, event_type
from skyblend.runtime.settings import Misconfigured

LEASE_SECONDS = 600.0
FIRST_WAIT, LONGEST_WAIT = 1.0, 600.0
LONGEST_UNREACHABLE = 30.0  # asking again costs little, and it may come up at any time
_BUSY_SECONDS = 30.0

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    type TEXT NOT NULL,
    envelope BLOB NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0,  -- answers that were no acknowledgement
    refusals INTEGER NOT NULL DEFAULT 0,  -- connections that were refused since the last answer
    due REAL NOT NULL,                    -- not delivered before; while leased: when the lease ends
    holder TEXT,                          -- who holds the lease
    dead INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT ''
);
CREATE INDEX IF NOT EXISTS due ON messages (dead, due);
"""
_DUE = """
SELECT id, type, envelope, attempts FROM messages
WHERE NOT dead AND due <= ? ORDER BY due, number LIMIT ?
"""
_DEAD = "SELECT id, type, envelope, reason FROM messages WHERE dead ORDER BY number"
_ANSWERED = """
UPDATE messages SET attempts = ?, refusals = ?, due = ?, holder = NULL, dead = ?, reason = ?
WHERE id = ?
"""
_REPLAY = """
UPDATE messages SET dead = 0, attempts = 0, refusals = 0, due = ? WHERE id = ? AND dead
"""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A leased message; `attempt` counts from 1."""

    id: str
    type: str
    envelope: bytes
    attempt: int


class SqliteBus:
    """A bus in the file `path`. Opened at first use; safe for threads; `clock` gives seconds since
    1970. A file that cannot be read or written, on a full disk for one, raises BusError."""

    def __init__(
        self,
        path: Path,
        *,
        lease_seconds: float = LEASE_SECONDS,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.path = path
        self.published = threading.Event()  # set by publish in this process; a deliverer clears it
        self._lease_seconds, self._clock = lease_seconds, clock
        self._connection: sqlite3.Connection | None = None
        self._lock = threading.RLock()
        self._holder = Holder(path)

    def publish(self, event: Message, *, trace: str) -> str:
        return self.publish_all([event], trace=trace)[0]

    def publish_all(self, events: Iterable[Message], *, trace: str) -> list[str]:
        """Publish several in one transaction: all or none; gives their ids."""
        now = self._clock()
        rows = [_row(event, trace, now) for event in events]
        with self._transaction() as connection:
            connection.executemany(
                "INSERT INTO messages (id, type, envelope, due) VALUES (?, ?, ?, ?)", rows
            )
        self.published.set()
        return [row[0] for row in rows]

    def lease(self, limit: int, *, only: Callable[[str], bool] | None = None) -> list[Delivery]:
        """Lease up to `limit` messages that are due, oldest first; `only` chooses by id."""
        now = self._clock()
        with self._transaction() as connection:
            due = connection.execute(_DUE, (now, -1 if only else limit))
            chosen = [row for row in due if only is None or only(row[0])][:limit]
            if chosen:
                holder, until = self._holder.name(), now + self._lease_seconds
                connection.executemany(
                    "UPDATE messages SET holder = ?, due = ? WHERE id = ?",
                    [(holder, until, row[0]) for row in chosen],
                )
        return [
            Delivery(id_, kind, envelope, attempts + 1) for id_, kind, envelope, attempts in chosen
        ]

    def extend(self, ids: Iterable[str]) -> None:
        """Begin the time of these leases anew."""
        until, holder = self._clock() + self._lease_seconds, self._holder.name()
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE messages SET due = ? WHERE id = ? AND holder = ?",
                [(until, id_, holder) for id_ in ids],
            )

    def ack(self, id_: str) -> None:
        """The message is done with."""
        with self._transaction() as connection:
            connection.execute("DELETE FROM messages WHERE id = ?", (id_,))

    def nack(self, id_: str, reason: str, *, answered: bool = True) -> bool:
        """Deliver it again later, or never after MAX_ATTEMPTS answers: gives whether it is a dead
        letter now. A refused connection (`answered` False) is waited for, but counts for nothing.
        """
        with self._transaction() as connection:
            found = connection.execute(
                "SELECT attempts, refusals FROM messages WHERE id = ?", (id_,)
            ).fetchone()
            if found is None:  # acknowledged by another holder after this lease had ended
                return False
            attempts, refusals = (found[0] + 1, 0) if answered else (found[0], found[1] + 1)
            dead = bool(attempts >= MAX_ATTEMPTS)
            wait = back_off(attempts) if answered else back_off(refusals, LONGEST_UNREACHABLE)
            due = self._clock() + wait
            connection.execute(_ANSWERED, (attempts, refusals, due, dead, reason, id_))
        return dead

    def recover(self) -> int:
        """Free what dead holders had leased; gives how many messages."""
        with self._transaction() as connection:
            held = connection.execute(
                "SELECT DISTINCT holder FROM messages WHERE holder IS NOT NULL"
            ).fetchall()
            dead = [name for (name,) in held if not self._holder.lives(name)]
            freed = [
                connection.execute(
                    "UPDATE messages SET holder = NULL, due = ? WHERE holder = ?",
                    (self._clock(), name),
                ).rowcount
                for name in dead
            ]
        return sum(freed)

    def pending(self) -> int:
        """Messages that are neither acknowledged nor dead."""
        return int(self._rows("SELECT COUNT(*) FROM messages WHERE NOT dead")[0][0])

    def is_done(self, id_: str) -> bool:
        """Whether nothing more will happen to the message: acknowledged, or a dead letter."""
        return not self._rows("SELECT 1 FROM messages WHERE id = ? AND NOT dead", id_)

    def wait(self, ids: Iterable[str], timeout: float, *, poll: float = 0.1) -> list[str]:
        """Wait until another process is done with the messages; gives those that are not after
        `timeout` seconds."""
        left, end = list(ids), time.monotonic() + timeout
        while left := [id_ for id_ in left if not self.is_done(id_)]:
            if time.monotonic() >= end:
                break
            time.sleep(min(poll, max(0.0, end - time.monotonic())))
        return left

    def dead_letters(self) -> list[DeadLetter]:
        """What was given up, oldest first."""
        return [DeadLetter(*row) for row in self._rows(_DEAD)]

    def replay(self, id_: str) -> bool:
        """Deliver a dead letter again, with all its attempts; False where there is none of this
        id."""
        with self._transaction() as connection:
            changed = connection.execute(_REPLAY, (self._clock(), id_)).rowcount
        self.published.set()
        return bool(changed)

    def replay_all(self, ids: Collection[str]) -> list[str]:
        return [id_ for id_ in ids if self.replay(id_)]

    def close(self) -> None:
        """Give up the file and the leases."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None
            self._holder.end()

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """What a query that changes nothing gives; waits for no writer."""
        with self._lock, _trouble(self.path):
            return self._connected().execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _trouble(self.path):
            connection = self._connected()
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
                connection.execute("COMMIT")
            finally:
                if connection.in_transaction:  # SQLite itself has ended some that failed
                    connection.execute("ROLLBACK")

    def _connected(self) -> sqlite3.Connection:
        self._connection = self._connection or _connect(self.path)
        return self._connection


def local(bus: Bus) -> SqliteBus:
    """The bus as the laptop's; raises Misconfigured for another."""
    if not isinstance(bus, SqliteBus):
        raise Misconfigured(
            f"this command works with the bus of one machine, got {type(bus).__name__}:"
            " SKYBLEND_BUS is not sqlite"
        )
    return bus


def back_off(failures: int, longest: float = LONGEST_WAIT) -> float:
    """Seconds to wait after so many failures in a row: 1, 2, 4 ... 600, of which the last half is
    drawn by lot."""
    whole = min(longest, FIRST_WAIT * 2.0 ** min(failures - 1, 20))
    return whole * random.uniform(0.5, 1.0)  # noqa: S311 - no secret, only spreads the load


def _row(event: Message, trace: str, now: float) -> tuple[str, str, bytes, float]:
    id_ = secrets.token_hex(12)
    published_at = datetime.fromtimestamp(now, UTC)
    return (
        id_,
        event_type(event),
        encode(event, trace=trace, message_id=id_, published_at=published_at),
        now,
    )


@contextmanager
def _trouble(path: Path) -> Iterator[None]:
    """Turn what SQLite raises into a BusError."""
    try:
        yield
    except sqlite3.Error as error:
        raise BusError(f"the bus {path} cannot be used: {error}") from error


def _connect(path: Path) -> sqlite3.Connection:
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(_SCHEMA)
    return connection
