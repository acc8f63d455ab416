"""Fixtures of serving: a runtime in memory, places and the newest runs of made-up forecasters."""

import io
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from skyblend.predict.serve.app import Wsgi, create_app
from skyblend.predict.train.threads import one_thread
from skyblend.protos.place_ids import object_part
from skyblend.protos.v1.records_pb2 import Attribution, Place, Run
from skyblend.protos.v1.variables_pb2 import Variable
from skyblend.runtime import names, places
from skyblend.runtime.access import TokenAccess
from skyblend.runtime.bus.sqlite import SqliteBus
from skyblend.runtime.latest import parts
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import Storage
from skyblend.runtime.storage.memory import MemoryStorage
from werkzeug.test import EnvironBuilder

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
HOUR = 3600
TERMS = Attribution(
    text="Weather data by Open-Meteo.com", url="https://open-meteo.com/", licence="CC BY 4.0"
)


@pytest.fixture(scope="module", autouse=True)
def few_threads() -> Iterator[None]:
    """Linear algebra of small matrices on one thread: many times quicker on a busy machine."""
    with one_thread():
        yield


@pytest.fixture
def now() -> datetime:
    """2026-11-20 10:20 UTC."""
    return NOW


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    """An empty runtime in memory, with the token `secret-of-the-test`."""
    return Runtime(
        settings=Settings.read({"SKYBLEND_DATA": str(tmp_path)}),
        storage=MemoryStorage(),
        bus=SqliteBus(tmp_path / "bus.sqlite"),
        access=TokenAccess("secret-of-the-test"),
        token="secret-of-the-test",
    )


@pytest.fixture
def run_of() -> Callable[..., Run]:
    """A run of a forecaster: hourly temperatures from the full hour before NOW on."""

    def make(
        model: str,
        values: Sequence[float],
        *,
        issued_at: datetime = NOW - timedelta(hours=4),
        variable: str = "TEMPERATURE_2M",
        period: int = 0,
        first: datetime | None = None,
        step: int = HOUR,
    ) -> Run:
        begin = int((first or NOW.replace(minute=0)).timestamp())
        run = Run(source="open_meteo", model=model, attribution=TERMS)
        run.issued_at.FromDatetime(issued_at)
        run.known_at.FromDatetime(issued_at + timedelta(hours=1))
        run.received_at.FromDatetime(issued_at + timedelta(hours=1))
        run.series.add(
            variable=Variable.Value(variable),
            period=period,
            valid_at=[begin + step * row for row in range(len(values))],
            value=values,
        )
        return run

    return make


@pytest.fixture
def put_latest() -> Callable[..., None]:
    """Store the newest runs of a place, in a part of its own."""

    def store(storage: Storage, place: str, *runs: Run) -> None:
        part = parts.encode({place: parts.latest(place, runs)})
        storage.write(f"{names.LATEST}open_meteo/forecast-{object_part(place)}.pb", part)

    return store


@pytest.fixture
def put(put_latest: Callable[..., None], runtime: Runtime) -> Callable[..., None]:
    """Configure a place and store its newest runs."""

    def store(place: Place, *runs: Run) -> None:
        places.add(runtime.storage, [place], replace=True)
        if runs:
            put_latest(runtime.storage, place.id, *runs)

    return store


@pytest.fixture
def berlin() -> Place:
    return Place(id="berlin", name="Berlin", latitude=52.52, longitude=13.41, elevation=40)


@dataclass(frozen=True, slots=True)
class Got:
    """An answer of a WSGI application."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Clock:
    """Time that stands still until it is moved."""

    def __init__(self) -> None:
        self.now, self.seconds = NOW, 1000.0

    def move(self, seconds: float) -> None:
        self.now, self.seconds = self.now + timedelta(seconds=seconds), self.seconds + seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def calling(clock: Clock) -> Callable[[Runtime], Callable[..., Got]]:
    """What calls the service on a runtime."""
    return lambda runtime: caller(
        create_app(runtime, now=lambda: clock.now, clock=lambda: clock.seconds)
    )


@pytest.fixture
def call(runtime: Runtime, calling: Callable[[Runtime], Callable[..., Got]]) -> Callable[..., Got]:
    """Call the service: `call("/v1/places")`, `call("/v1/issue", method="POST", token=...)`."""
    return calling(runtime)


def caller(app: Wsgi) -> Callable[..., Got]:
    def ask(
        url: str,
        *,
        method: str = "GET",
        body: bytes = b"",
        token: str | None = None,
        host: str = "127.0.0.1:8083",
        **headers: str,
    ) -> Got:
        path, _, query = url.partition("?")
        environ = EnvironBuilder(path=path, query_string=query, method=method).get_environ()
        environ |= {"HTTP_HOST": host, "wsgi.input": io.BytesIO(body)}
        environ |= {"CONTENT_LENGTH": str(len(body)), **headers}
        if method == "POST":
            environ.setdefault("CONTENT_TYPE", "application/json")
        if token is not None:
            environ["HTTP_AUTHORIZATION"] = f"Bearer {token}"
        answered: list[Any] = []

        def start_response(status: str, given: list[tuple[str, str]], *_: object) -> Any:
            answered[:] = [int(status[:3]), dict(given)]

        pieces = app(environ, start_response)
        content = b"".join(pieces)
        if close := getattr(pieces, "close", None):
            close()
        return Got(answered[0], answered[1], content)

    return ask
