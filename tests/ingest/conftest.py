"""A source and a provider of our own making, and a runtime in a temporary folder."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import pytest
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import places as known_places
from skyblend.runtime.http import Answer
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.sources.contract import Attribution, Decoded, Payload, Request, Schedule

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FORECAST = Schedule(endpoint="forecast", every=HOUR, batch=2)
BACKFILL = Schedule(endpoint="past", every=None, batch=1)
FREE = Attribution(licence="", text="", url="", commercial=True)


@dataclass(frozen=True, kw_only=True)
class FakeSource:
    """A source that asks one call for each batch of places; a call names a day, as real ones do."""

    name: str = "fake"
    schedules: tuple[Schedule, ...] = (FORECAST, BACKFILL)
    weight: float = 1.0
    calls_per_batch: int = 1
    publication_delay: timedelta = timedelta(0)
    attribution: Attribution = FREE

    def requests(
        self, endpoint: str, places: Sequence[Place], *, slot: datetime, options: Mapping[str, str]
    ) -> Iterator[Request]:
        if options.get("models") == "none":
            raise ValueError("models: expected names, got 'none'")
        for part in range(self.calls_per_batch):
            yield Request(
                endpoint=endpoint,
                url=f"https://{self.name}.example/{endpoint}",
                params={
                    "ids": ",".join(place.id for place in places),
                    "until": f"{slot:%Y-%m-%d}",
                    "part": str(part),
                    "key": "s3cret",
                },
                places=tuple(places),
                secrets=frozenset({"key"}),
                weight=self.weight * len(places),
            )

    def recognises(self, name: str, head: bytes) -> bool:
        return False

    def decode(self, payload: Payload) -> Iterator[Decoded]:
        yield from ()


@dataclass
class FakeProvider:
    """Answers every call with its parameters; `fail` may raise, or give another status and body."""

    received_at: datetime = NOON
    fail: Callable[[str, Mapping[str, str]], tuple[int, bytes] | None] = lambda url, params: None
    asked: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def get(
        self,
        url: str,
        params: Mapping[str, str] | None = None,
        *,
        name: str,
        headers: Mapping[str, str] | None = None,
        secrets: Collection[str] = frozenset(),
    ) -> Answer:
        asked = dict(params or {})
        with self.lock:
            self.asked.append(f"{url.rsplit('/', 1)[-1]} {asked['ids']}")
        status, body = self.fail(url, asked) or (200, asked["ids"].encode())
        masked = "&".join(f"{n}={'***' if n in secrets else v}" for n, v in asked.items())
        answered = {"content-type": "application/json", "set-cookie": "session=1"}
        return Answer(status, answered, body, self.received_at, f"{url}?{masked}")


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = runtime_for(
        Settings.read({"SKYBLEND_DATA": str(tmp_path), "SKYBLEND_UPLOAD_LIMIT": "1000"})
    )
    yield made
    made.bus.close()


@pytest.fixture
def provider() -> FakeProvider:
    return FakeProvider()


@pytest.fixture
def fake() -> FakeSource:
    return FakeSource()


@pytest.fixture
def make_fake() -> type[FakeSource]:
    return FakeSource


@pytest.fixture
def add_places(runtime: Runtime) -> Callable[..., None]:
    """Add places that are collected, one degree apart."""

    def add(*ids: str) -> None:
        before = len(known_places.read(runtime.storage))
        known_places.add(
            runtime.storage,
            [
                Place(id=id_, latitude=before + i, longitude=10, collect=True)
                for i, id_ in enumerate(ids)
            ],
        )

    return add
