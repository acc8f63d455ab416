"""The emulator of BigQuery, where it is there: SKYBLEND_BQEMULATOR names its command, as
`pip install bqemulator` into an environment of its own makes it."""

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

STARTER = Path(__file__).with_name("bqemulator_start.py")
PROJECT = "p"


@dataclass(frozen=True, slots=True)
class BigQueryEmulator:
    """Where it listens, and the folder that it takes gs://bucket/name from."""

    address: str
    buckets: Path


@pytest.fixture(scope="session")
def bigquery_emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BigQueryEmulator]:
    """A running emulator; skips where none is installed."""
    command = os.environ.get("SKYBLEND_BQEMULATOR", "")
    if not command:
        pytest.skip("no emulator of BigQuery: SKYBLEND_BQEMULATOR names none")
    buckets = tmp_path_factory.mktemp("buckets")
    rest, grpc = free_port(), free_port()
    started = subprocess.Popen(
        [Path(command).with_name("python"), STARTER, "start", "--project", PROJECT,
         "--rest-port", str(rest), "--grpc-port", str(grpc), "--log-level", "critical"],
        env={**os.environ, "BQEMU_GCS_LOCAL_ROOT": str(buckets)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        emulator = BigQueryEmulator(f"http://127.0.0.1:{rest}", buckets)
        wait_until_it_answers(emulator, started)
        yield emulator
    finally:
        started.terminate()
        started.wait(30)


def wait_until_it_answers(emulator: BigQueryEmulator, started: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 60
    while True:
        try:
            urlopen(f"{emulator.address}/bigquery/v2/projects/{PROJECT}/datasets", timeout=5)
        except URLError:
            assert started.poll() is None, "bqemulator ended"
            assert time.monotonic() < until, "bqemulator does not answer"
            time.sleep(0.1)
        else:
            return


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port
