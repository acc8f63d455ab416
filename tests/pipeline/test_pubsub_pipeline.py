"""`make run-services BUS=pubsub`, seen from outside: three processes and Google's emulator.

Only in `make prove`, with little for the simulator to do: four processes start, each with its
imports.
"""

import os
import signal
from collections.abc import Iterator

import pytest
import requests
from emulators import emulator_address
from floods import FEW, ROWS, children, text, upload
from processes import Pipeline, answers, skyblend, three_processes, until
from skyblend.runtime.bus.emulator import ADDRESS
from skyblend.runtime.folder import read_running

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.environ.get("SKYBLEND_PROVE") != "1", reason="takes half a minute: make prove"
    ),
]
PUSH = "/v1/events/raw-stored"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    """A pipeline with an emulator of its own, that has issued its first forecast."""
    emulator_address()  # skips where there is none
    data = tmp_path_factory.mktemp("pubsub") / "data"
    with pytest.MonkeyPatch.context() as environ:
        environ.delenv(ADDRESS)
        for name, value in FEW.items():
            environ.setenv(name, value)
        with three_processes(data, "--bus", "pubsub") as running:
            until(lambda: answers(running))
            yield running


def test_it_reaches_a_forecast_of_simulated_weather(pipeline: Pipeline) -> None:
    answer = pipeline.get("/v1/forecast?latitude=52.52&longitude=13.41").json()
    assert answer["simulated"] is True


def test_commands_beside_it_use_its_bus(pipeline: Pipeline) -> None:
    assert "Pub/Sub, 0 given up" in skyblend(pipeline.data, "status").stdout
    assert skyblend(pipeline.data, "collect").returncode == 0
    assert skyblend(pipeline.data, "dead-letters", "list").stdout == ""


def test_an_upload_beside_it_returns_when_it_is_recorded(pipeline: Pipeline) -> None:
    file = pipeline.data.parent / "beside.csv"
    file.write_text(text("beside"))
    done = skyblend(pipeline.data, "upload", file)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[:3] == ["beside.csv", "yes", str(ROWS)]


def test_without_a_token_the_other_guards_stay(pipeline: Pipeline) -> None:
    url = pipeline.addresses["preprocess"] + PUSH
    assert requests.post(url, json={}, timeout=20).status_code == 400
    assert requests.post(url, data="{}", timeout=20).status_code == 415
    evil = {"Host": "evil.example"}
    assert requests.post(url, json={}, headers=evil, timeout=20).status_code == 421


def test_an_emulator_that_is_killed_is_started_again_and_events_flow(pipeline: Pipeline) -> None:
    running = read_running(pipeline.data)
    assert running is not None
    address = running.environ[ADDRESS]
    os.kill(_java(pipeline, address), signal.SIGKILL)
    name = "after"
    until(lambda: upload(pipeline.addresses["ingest"], name))
    until(lambda: "after" in skyblend(pipeline.data, "places", "list").stdout)


def _java(pipeline: Pipeline, address: str) -> int:
    """The process of the emulator."""
    port = f"--port={address.rpartition(':')[2]}".encode()
    return next(pid for pid in children(pipeline.process.pid) if port in _arguments(pid))


def _arguments(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


def test_a_killed_command_leaves_no_emulator_behind(pipeline: Pipeline) -> None:
    running = read_running(pipeline.data)
    assert running is not None
    pipeline.process.kill()
    pipeline.process.wait()
    until(lambda: not _is_there(running.environ[ADDRESS]))


def _is_there(address: str) -> bool:
    try:
        requests.get(f"http://{address}/", timeout=5)
    except requests.ConnectionError:
        return False
    return True
