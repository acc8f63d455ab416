"""/health and /ready of the three services, as a probe of Cloud Run asks them."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from skyblend.cli.apps import App, apps
from skyblend.runtime.access import Access, OpenAccess, TokenAccess
from skyblend.runtime.bus.sqlite import SqliteBus
from skyblend.runtime.identity import access_for
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import StorageError
from skyblend.runtime.storage.memory import MemoryStorage
from werkzeug.test import Client

SERVICES = ("ingest", "preprocess", "predict")
CLOUD_RUN = {"K_SERVICE": "skyblend", "K_REVISION": "r-1"}
HOSTS = ("127.0.0.1:8080", "169.254.8.1:8080", "skyblend-ingest-abc.a.run.app", "localhost")


class Bucket(MemoryStorage):
    """A storage that can be out of reach."""

    reason = ""
    calls = 0

    def __init__(self) -> None:
        super().__init__()
        self.answers = Event()
        self.answers.set()

    def generation(self, name: str) -> int:
        self.calls += 1
        self.answers.wait(20)
        if self.reason:
            raise StorageError(name, self.reason)
        return super().generation(name)


def access(mode: str) -> Access:
    if mode in ("iam", "oidc"):
        settings = Settings(auth=mode, audience=("https://x",), callers=("a@b",))
        return access_for(settings, environ=CLOUD_RUN)
    return OpenAccess() if mode == "none" else TokenAccess("token-of-the-test")


def runtime(tmp_path: Path, mode: str = "token", **settings: Any) -> Runtime:
    return Runtime(
        settings=Settings(data=tmp_path, auth=mode, **settings),
        storage=Bucket(),
        bus=SqliteBus(tmp_path / "bus.sqlite"),
        access=access(mode),
    )


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[tuple[Bucket, dict[str, App]]]:
    made = runtime(tmp_path)
    assert isinstance(made.storage, Bucket)
    yield made.storage, apps(made)
    made.bus.close()


@pytest.mark.parametrize("mode", ["token", "none", "iam", "oidc"])
def test_a_probe_needs_neither_credential_nor_a_listed_host(mode: str, tmp_path: Path) -> None:
    made = apps(runtime(tmp_path, mode, allowed_hosts=("weather.example",)))
    for service in SERVICES:
        for path in ("/health", "/ready"):
            for host in HOSTS:
                answer = Client(made[service]).get(path, headers={"Host": host})
                assert answer.status_code == 200, (service, path, host)


@pytest.mark.parametrize("service", SERVICES)
def test_health_asks_no_storage(service: str, bucket: tuple[Bucket, dict[str, App]]) -> None:
    storage, made = bucket
    storage.reason = "out of reach"
    assert Client(made[service]).get("/health").status_code == 200
    assert storage.calls == 0


@pytest.mark.parametrize("service", SERVICES)
def test_ready_says_why_not_and_recovers(
    service: str, bucket: tuple[Bucket, dict[str, App]]
) -> None:
    storage, made = bucket
    storage.reason = "403 the account may not read the bucket"
    answer = Client(made[service]).get("/ready")
    assert (answer.status_code, answer.content_type) == (503, "application/problem+json")
    assert answer.get_json()["detail"] == (
        "the storage cannot be read: StorageError: places.json: 403 the account may not read the"
        " bucket"
    )
    storage.reason = ""
    assert Client(made[service]).get("/ready").status_code == 200


@pytest.mark.parametrize("service", SERVICES)
def test_only_a_look_is_a_probe(service: str, bucket: tuple[Bucket, dict[str, App]]) -> None:
    answer = Client(bucket[1][service]).post("/ready", headers={"Host": "evil.example"})
    assert answer.status_code in (401, 404, 421)


def test_a_bucket_that_does_not_answer_holds_up_one_probe(
    bucket: tuple[Bucket, dict[str, App]],
) -> None:
    storage, made = bucket
    storage.answers.clear()
    with ThreadPoolExecutor() as pool:
        probes = [pool.submit(Client(made["ingest"]).get, "/ready") for _ in range(3)]
        told = next(as_completed(probes, 10)).result()
        assert told.get_json()["detail"] == "the storage has not answered the probe before"
        assert storage.calls == 1
        storage.answers.set()
        assert 200 in [one.result().status_code for one in probes]
