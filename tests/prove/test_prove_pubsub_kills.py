"""kill -9 of the services while uploads stream in and Pub/Sub carries the events: nothing
acknowledged is lost, nothing is counted twice, and each dead letter has its outage.

`skyblend services --bus pubsub` takes uploads over HTTP. Each of the three services is killed with
all its processes at moments drawn by a seed, and the command starts it again. Google's emulator
tries a push each second, so an outage of more than four seconds makes dead letters; they are
replayed, as an operator would. Only in `make prove`: the start alone takes longer than a test may.
"""

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from json import loads
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
import requests
from emulators import emulator_address
from floods import FEW, children, exported, lost, twice, upload
from processes import Pipeline, answers, three_processes, until
from skyblend.cli.schedule import all_processed
from skyblend.ingest.announce import reannounce
from skyblend.predict.serve.ledger import verify
from skyblend.runtime.bus import DeadLetter
from skyblend.runtime.bus.emulator import ADDRESS
from skyblend.runtime.folder import read_running
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings

SEED = 14
KILLS = 30  # of each service
REST_SECONDS = 0.2
PUSHES_SECONDS = 10.0  # in which five pushes are made, on a busy machine
PUSHED_TO = {"RawStored": "preprocess", "RecordsReady": "predict", "ModelPromoted": "predict"}

pytestmark = pytest.mark.skipif(
    os.environ.get("SKYBLEND_PROVE") != "1", reason="takes minutes: make prove"
)


@dataclass
class Flood:
    """Uploads to ingest until the end of a block; what was sent, and what was acknowledged."""

    address: str
    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        thread = Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._stop.set()
            thread.join(60)

    def _run(self) -> None:
        while not self._stop.wait(REST_SECONDS):
            self.sent.append(name := f"http{len(self.sent)}")
            if upload(self.address, name):
                self.acknowledged.append(name)


@dataclass
class Outages:
    """Kills of services, and when each was down."""

    pipeline: Pipeline
    down: dict[str, list[tuple[datetime, datetime]]] = field(default_factory=dict)
    killed: Counter[str] = field(default_factory=Counter)
    _returning: dict[str, Thread] = field(default_factory=dict)

    def kill(self, service: str) -> None:
        """Kill all processes of a service, as soon as it answers again since the last time."""
        if service in self._returning:
            self._returning[service].join()
        began = datetime.now(UTC)
        for pid in tree(self._root(service)):
            os.kill(pid, signal.SIGKILL)
        self.killed[service] += 1
        self._returning[service] = Thread(target=self._watch, args=(service, began), daemon=True)
        self._returning[service].start()

    def _watch(self, service: str, began: datetime) -> None:
        """Write down when it answers again."""
        until(lambda: is_up(self.pipeline.addresses[service]))
        self.down.setdefault(service, []).append((began, datetime.now(UTC)))

    def over(self) -> None:
        """Wait until all answer again."""
        for thread in self._returning.values():
            thread.join()

    def explains(self, letter: DeadLetter) -> bool:
        """Whether the service that it was pushed to was down when it was pushed."""
        told = loads(letter.envelope)["message"]["publishTime"]
        published = datetime.fromisoformat(told)
        last = published + timedelta(seconds=PUSHES_SECONDS)
        return any(
            began <= last and ended >= published
            for began, ended in self.down.get(PUSHED_TO[letter.type], [])
        )

    def _root(self, service: str) -> int:
        """The process that the command started for a service; it may be just starting one."""
        found: list[int] = []

        def look() -> bool:
            listed = subprocess.run(
                ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(self.pipeline.process.pid)],
                capture_output=True,
                text=True,
                check=False,
            )
            found[:] = [
                int(line.split()[0])
                for line in listed.stdout.splitlines()
                if f"create_app('{service}'" in line or f"skyblend.{service}.main:" in line
            ]
            return bool(found)

        until(look)
        return found[0]


def tree(pid: int) -> list[int]:
    """A process and all below it, it first: it starts no other when they are gone."""
    return [pid, *(below for child in children(pid) for below in tree(child))]


def is_up(address: str) -> bool:
    try:
        return requests.get(f"{address}/health", timeout=20).status_code == 200
    except requests.RequestException:
        return False


def pubsub_runtime(data: Path, monkeypatch: pytest.MonkeyPatch) -> Runtime:
    """Storage and bus of the running pipeline."""
    running = read_running(data)
    assert running is not None
    monkeypatch.setenv(ADDRESS, running.environ[ADDRESS])
    told = {"SKYBLEND_DATA": str(data), "SKYBLEND_REALM": "simulated"}
    return runtime_for(Settings.read({**running.environ, **told}))


def replayed(runtime: Runtime) -> list[DeadLetter]:
    """Replay what was given up until all is recorded and nothing more comes; gives all letters."""
    found: list[DeadLetter] = []
    while (letters := runtime.bus.dead_letters()) or not all_processed(runtime):
        found += letters
        runtime.bus.replay_all([letter.id for letter in letters])
    return found


@pytest.mark.slow
@pytest.mark.timeout(1700)
def test_kills_of_services_lose_nothing_and_double_nothing(
    proof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv(ADDRESS, emulator_address())
    for name, value in FEW.items():
        monkeypatch.setenv(name, value)
    data, lot = tmp_path / "data", np.random.default_rng(SEED)
    with proof("kill -9 of services, Pub/Sub's emulator") as one:
        with three_processes(data, "--bus", "pubsub") as pipeline:
            until(lambda: answers(pipeline))
            runtime = pubsub_runtime(data, monkeypatch)
            outages, flood = Outages(pipeline), Flood(pipeline.addresses["ingest"])
            with flood.flowing():
                for service in lot.permutation(list(pipeline.addresses) * KILLS):
                    flood._stop.wait(float(lot.uniform(0.0, 2.0)))
                    outages.kill(str(service))
                    one.cases += 1
            outages.over()
            # What a tick does some minutes later: what was stored and never announced.
            again = reannounce(runtime, datetime.now(UTC) + timedelta(hours=1))
            letters = replayed(runtime)
        observed, told = (exported(data, kind) for kind in ("observations", "forecasts"))
        one.failures += [
            *lost(flood.sent, flood.acknowledged, observed),
            *twice(observed),
            *twice(told),
            *verify(runtime.storage).problems,
        ]
        one.failures += [
            f"dead letter without an outage: {letter}"
            for letter in letters
            if not outages.explains(letter)
        ]
        one.notes += [
            f"{len(flood.acknowledged)} of {len(flood.sent)} files acknowledged",
            f"kills {dict(outages.killed)}",
            f"dead letters {dict(Counter(letter.type for letter in letters))}, all replayed",
            f"{len(again)} announced again",
        ]
    runtime.bus.close()
