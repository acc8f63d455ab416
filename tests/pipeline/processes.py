"""`skyblend up` and `skyblend services` as processes on the simulator, for tests."""

import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
from skyblend.runtime.folder import read_running
from skyblend.runtime.tokens import bearer, token

READY_SECONDS = 90.0


@dataclass(frozen=True)
class Pipeline:
    """A running pipeline: its process, data folder, and address by service."""

    process: "subprocess.Popen[str]"
    data: Path
    addresses: dict[str, str]

    def get(self, path: str, **headers: str) -> requests.Response:
        return requests.get(self.addresses["predict"] + path, headers=headers, timeout=20)

    def post(self, path: str, body: Any = None, **headers: str) -> requests.Response:
        address = self.addresses[POSTS.get(path, "predict")]
        shown = {"Authorization": bearer(token(self.data)), **headers}
        return requests.post(address + path, json=body or {}, headers=shown, timeout=60)


POSTS = {
    "/v1/collect": "ingest",
    "/v1/uploads": "ingest",
    "/v1/places": "ingest",
    "/v1/events/raw-stored": "preprocess",
    "/v1/events/records-ready": "predict",
    "/v1/events/model-promoted": "predict",
    "/v1/issue": "predict",
}


def skyblend(data: Path, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Run a command to its end."""
    return subprocess.run(
        command(data, *arguments), capture_output=True, text=True, check=False, timeout=100
    )


def command(data: Path, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "skyblend.cli.main", "--data", str(data), *map(str, arguments)]


def start(data: Path, *arguments: object) -> "subprocess.Popen[str]":
    """Start a command in a process group of its own, output to a file in the data folder."""
    data.mkdir(parents=True, exist_ok=True)
    with (data / "output.txt").open("a") as output:
        return subprocess.Popen(
            command(data, *arguments),
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )


@contextmanager
def one_process(data: Path) -> Iterator[Pipeline]:
    """`skyblend up`."""
    port = free_ports(1)
    address = f"http://127.0.0.1:{port}"
    addresses = dict.fromkeys(("ingest", "preprocess", "predict"), address)
    with _running(data, ("up", "--simulate", "--port", port), addresses) as pipeline:
        yield pipeline


@contextmanager
def three_processes(data: Path, *options: str) -> Iterator[Pipeline]:
    """`skyblend services`, as `make run-services` starts it."""
    port = free_ports(3)
    addresses = {
        name: f"http://127.0.0.1:{port + number}"
        for number, name in enumerate(("ingest", "preprocess", "predict"))
    }
    arguments = ("services", "--simulate", "--port", port, *options)
    with _running(data, arguments, addresses) as pipeline:
        yield pipeline


@contextmanager
def _running(
    data: Path, arguments: tuple[object, ...], addresses: dict[str, str]
) -> Iterator[Pipeline]:
    process = start(data, *arguments)
    try:
        yield Pipeline(process, data, addresses)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def until(reached: Callable[[], bool], seconds: float = READY_SECONDS) -> None:
    """Look again and again, for as long as a slow machine may need."""
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, f"not reached within {seconds:.0f} s"
        time.sleep(0.1)


def answers(pipeline: Pipeline, path: str = "/v1/forecast?latitude=52.52&longitude=13.41") -> bool:
    """Whether the path is answered with 200."""
    assert pipeline.process.poll() is None, (pipeline.data / "output.txt").read_text()
    try:
        return pipeline.get(path).status_code == 200
    except requests.ConnectionError:
        return False


def is_running(data: Path) -> bool:
    return read_running(data) is not None


def free_ports(count: int) -> int:
    """The first of some neighbouring ports that nobody listens on.

    Tests in several processes draw from ranges of their own, and the system hands out none of them
    to whoever asks for any port.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for _ in range(100):
        first = 20_000 + 500 * (worker % 20) + random.randrange(490)
        if all(_is_free(first + number) for number in range(count)):
            return first
    raise AssertionError("no free ports")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


ARRANGEMENTS = {"one process": one_process, "three processes": three_processes}
