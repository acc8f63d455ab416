"""kill -9 while uploads stream in: nothing acknowledged is lost, nothing is counted twice.

`skyblend up` takes uploads over HTTP while commands upload beside it. The worker, the supervisor or
a command is killed at moments drawn by a seed, and what was killed is started again. At the end all
that was acknowledged is in the export, once; a file that nobody acknowledged is there whole or not
at all; no message is left or given up, and the ledger is whole.
"""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread

import numpy as np
import pytest
from floods import FEW, children, exported, lost, text, twice, upload
from processes import Pipeline, answers, command, is_running, one_process, until
from skyblend.ingest.announce import reannounce
from skyblend.predict.serve.ledger import verify
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tokens import bearer, token

SEED = 9
REST_SECONDS = 0.3  # between two uploads over HTTP


@dataclass
class Streams:
    """Uploads over HTTP and by commands, until `stop`; what was sent, and what was acknowledged."""

    data: Path
    address: str = ""
    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    process: "subprocess.Popen[bytes] | None" = None
    stop: Event = field(default_factory=Event)

    @contextmanager
    def flowing(self) -> Iterator[None]:
        threads = [Thread(target=one, daemon=True) for one in (self._post, self._command)]
        try:
            for thread in threads:
                thread.start()
            yield
        finally:
            self.stop.set()
            for thread in threads:
                thread.join(120)

    def _post(self) -> None:
        """Files over HTTP."""
        number = 0
        while not self.stop.wait(REST_SECONDS):
            number += 1
            name = f"http{number}"
            self.sent.append(name)
            if upload(self.address, name, Authorization=bearer(token(self.data))):
                self.acknowledged.append(name)

    def _command(self) -> None:
        """Commands one after the other, two files each."""
        number = 0
        while not self.stop.wait(REST_SECONDS):
            number += 1
            given = [f"command{number}{part}" for part in "ab"]
            files = [self.data.parent / f"{name}.csv" for name in given]
            for file in files:
                file.write_text(text(file.stem))
            self.sent += given
            self.process = subprocess.Popen(
                command(self.data, "--simulate", "upload", *files),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            if self.process.wait(90) == 0:
                self.acknowledged += given


class Victims:
    """The pipeline that runs, and the three ways to kill a part of it and go on."""

    def __init__(self, streams: Streams, stack: ExitStack) -> None:
        self._streams, self._stack = streams, stack
        self.pipeline = self._started()

    def worker(self) -> None:
        """The supervisor starts another one, or ends where the one before died a moment ago too."""
        process = self.pipeline.process
        for pid in children(process.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: process.poll() is not None or answers(self.pipeline, "/health"))
        if process.poll() is not None:
            self.supervisor()

    def supervisor(self) -> None:
        """Its worker ends with it; a person starts the pipeline again."""
        self.pipeline.process.kill()
        self.pipeline.process.wait()
        until(lambda: not is_running(self._streams.data))
        self.pipeline = self._started()

    def upload(self) -> None:
        """A command, if one runs."""
        if self._streams.process is not None and self._streams.process.poll() is None:
            self._streams.process.kill()

    def _started(self) -> Pipeline:
        pipeline: Pipeline = self._stack.enter_context(one_process(self._streams.data))
        self._streams.address = pipeline.addresses["ingest"]
        until(lambda: answers(pipeline, "/health"))
        return pipeline


def left_over(runtime: Runtime) -> list[str]:
    """Messages that wait or were given up, raw objects without their mark, faults of the ledger."""
    raw = [listed.name for listed in runtime.storage.list(names.RAW)]
    unmarked = [name for name in raw if not runtime.storage.generation(names.processed(name))]
    return [
        *(["messages wait"] if runtime.bus.pending() else []),
        *(f"{letter.type} was given up: {letter.reason}" for letter in runtime.bus.dead_letters()),
        *(f"{name} is not processed" for name in unmarked),
        *verify(runtime.storage).problems,
    ]


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_kills_at_any_moment_lose_nothing_and_double_nothing(
    proof, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for name, value in FEW.items():
        monkeypatch.setenv(name, value)
    data, lot = tmp_path / "data", np.random.default_rng(SEED)
    streams = Streams(data)
    runtime = runtime_for(
        Settings.read({"SKYBLEND_DATA": str(data), "SKYBLEND_REALM": "simulated"})
    )
    with proof("kill -9 while uploads stream in") as one, ExitStack() as stack:
        victims = Victims(streams, stack)
        ways: list[Callable[[], None]] = [victims.supervisor, victims.worker, victims.upload]
        with streams.flowing():
            while one.cases < one.size(30):
                streams.stop.wait(float(lot.uniform(0.0, 3.0)))
                ways[one.cases % 3 if one.cases < 3 else int(lot.integers(0, 3))]()
                one.cases += 1
        until(lambda: not runtime.bus.pending(), 180)
        # What a tick does some minutes later: what was stored and never announced is announced.
        reannounce(runtime, datetime.now(UTC) + timedelta(hours=1))
        until(lambda: not runtime.bus.pending(), 180)
        stack.close()
        observed, told = (exported(data, kind) for kind in ("observations", "forecasts"))
        one.failures += [
            *lost(streams.sent, streams.acknowledged, observed),
            *twice(observed),
            *twice(told),
        ]
        one.failures += left_over(runtime)
        one.notes.append(f"{len(streams.acknowledged)} of {len(streams.sent)} files acknowledged")
    runtime.bus.close()
