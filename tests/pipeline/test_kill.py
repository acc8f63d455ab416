"""kill -9 at any moment, then start again: nothing acknowledged is lost, nothing counts twice.

A few moments, drawn by a seed, in every run; `make prove` sets SKYBLEND_PROVE and draws many.
"""

import csv
import os
import random
import signal
import subprocess
import time
from itertools import product
from pathlib import Path

import pytest
from processes import (
    Pipeline,
    answers,
    is_running,
    one_process,
    skyblend,
    start,
    until,
)
from skyblend.predict.serve.ledger import verify
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings

pytestmark = pytest.mark.slow

PROVE = bool(os.environ.get("SKYBLEND_PROVE"))
UPLOADS = 10 if PROVE else 1
STARTS = 10 if PROVE else 1


SOURCES, PLACES, HOURS = ("alpha", "beta"), 60, 24
ROWS = len(SOURCES) * PLACES * HOURS


def write_archive(folder: Path, number: int) -> Path:
    """A tidy file of forecasts of one day by two sources, every value its own."""
    path = folder / f"forecasts-{number}.csv"
    head = "source place_id latitude longitude elevation issued_at valid_at temperature_2m"
    day = f"2024-01-{1 + number:02d}"
    with path.open("w", newline="") as stream:
        table = csv.writer(stream)
        table.writerow(head.split())
        for row, (source, place, hour) in enumerate(product(SOURCES, range(PLACES), range(HOURS))):
            times = (f"{day}T00:00:00Z", f"{day}T{hour:02d}:00:00Z")
            table.writerow([source, f"P{place}", 48, 10, 400, *times, row / 100])
    return path


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("archive")
    return [write_archive(folder, number) for number in range(6)]


@pytest.fixture(scope="module")
def undisturbed(
    archive: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> tuple[bytes, float]:
    """The export after an upload that nobody killed, and the seconds that it took."""
    data = tmp_path_factory.mktemp("undisturbed")
    began = time.monotonic()
    assert skyblend(data, "upload", *archive).returncode == 0
    took = time.monotonic() - began
    return exported(data), took


def exported(data: Path) -> bytes:
    out = data / "out.csv"
    done = skyblend(data, "export", "forecasts", "--out", out)
    assert done.returncode == 0, done.stderr
    return out.read_bytes()


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("seed", range(UPLOADS))
def test_an_upload_that_is_killed_goes_on_where_it_was(
    seed: int, archive: list[Path], undisturbed: tuple[bytes, float], tmp_path: Path
) -> None:
    expected, took = undisturbed
    lot = random.Random(seed)
    for _ in range(lot.randint(1, 3)):
        process = start(tmp_path, "upload", *archive)
        with_wait(process, lot.uniform(0.2, 1.0) * took)
    assert skyblend(tmp_path, "upload", *archive).returncode == 0
    assert exported(tmp_path) == expected
    again = skyblend(tmp_path, "upload", *archive).stdout.splitlines()[1:]
    assert [line.split()[1:4] for line in again] == [["already", str(ROWS), "0"]] * len(archive)


def with_wait(process: "subprocess.Popen[str]", seconds: float) -> None:
    """Let it run so long, then kill -9 all of it."""
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def children(pid: int) -> list[int]:
    """The processes that it started."""
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(line) for line in found.stdout.split()]


@pytest.mark.timeout(1500)
def test_a_pipeline_that_is_killed_goes_on_where_it_was(tmp_path: Path) -> None:
    lot = random.Random(20261120)
    for _ in range(STARTS):
        with one_process(tmp_path) as pipeline:
            until(lambda: is_running(tmp_path))
            with_wait_for(pipeline, lot.uniform(0.0, 6.0))
            victim = lot.choice([pipeline.process.pid, *children(pipeline.process.pid)])
            os.kill(victim, signal.SIGKILL)
            if victim != pipeline.process.pid:
                until(lambda: answers(pipeline, "/health"))  # a new worker took its place
            os.kill(pipeline.process.pid, signal.SIGKILL)
            pipeline.process.wait()
        until(lambda: not is_running(tmp_path))
    with one_process(tmp_path) as pipeline:
        until(lambda: answers(pipeline))
        runtime = runtime_of(tmp_path)
        until(lambda: not left(runtime))
    check_whole(runtime)


def with_wait_for(pipeline: Pipeline, seconds: float) -> None:
    try:
        pipeline.process.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise AssertionError((pipeline.data / "output.txt").read_text())


def runtime_of(data: Path) -> Runtime:
    return runtime_for(Settings.read({"SKYBLEND_DATA": str(data), "SKYBLEND_REALM": "simulated"}))


def left(runtime: Runtime) -> list[str]:
    """Raw objects that are not processed yet."""
    raw = (listed.name for listed in runtime.storage.list(names.RAW))
    return [name for name in raw if not runtime.storage.generation(names.processed(name))]


def check_whole(runtime: Runtime) -> None:
    """Nothing refused, nothing given up, and a ledger without a gap or a fork."""
    assert runtime.bus.dead_letters() == []
    assert list(runtime.storage.list(names.QUARANTINE)) == []
    assert verify(runtime.storage).problems == ()
    runtime.bus.close()
