"""Proof: a busy service that is told to stop, again and again, fails no request that it took."""

import io
import os
import random
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from skyblend.ingest import uploads
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from stopping import CHANGES, Change, Load, drained, pushed, running

IS_FULL = os.environ.get("SKYBLEND_PROVE") == "1"
STOPS = 20
# Granian cuts off who has just connected and is not accepted yet when it stops: seen twice in 49
# stops. Cloud Run sends nobody any more by then.
ALLOWED = {"serve": STOPS // 5}


needs_time = pytest.mark.skipif(not IS_FULL, reason="takes minutes: SKYBLEND_PROVE=1 asks for it")


@needs_time
@pytest.mark.parametrize("image", CHANGES)
def test_nothing_fails_however_often_a_busy_service_is_stopped(
    image: str, tmp_path: Path, proof: Callable[..., Any]
) -> None:
    """Requests up to the very moment of the signal, and slow ones of 2 to 5 s."""
    chance = random.Random(image)
    with proof(f"SIGTERM under load: {image}", allowed=ALLOWED.get(image, 0)) as one:
        for number in range(STOPS):
            with running(image, tmp_path / str(number)) as service:
                load = Load(service.port, service.token, CHANGES[image])
                load.start(fresh=6, kept=6, slow=3, seconds=chance.uniform(2, 5))
                load.stop.wait(chance.uniform(0, 0.5))
                load.quiet.set()
                one.failures += [f"exit code {code}" for code in [drained(service)] if code]
                load.join()
                one.cases += load.told.counts.total()
                one.failures += load.told.failed


@needs_time
def test_a_push_whose_work_takes_seconds_is_done_before_the_end(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with running("preprocess", data) as service:
        object_ = upload(data, rows=150_000)
        heavy = Change(CHANGES["preprocess"].path, "application/json", lambda _: pushed(object_))
        load = Load(service.port, service.token, heavy)
        work = Thread(target=load.once, args=("work", load.write(0)))
        work.start()
        assert not load.stop.wait(0.5)  # the work is under way
        assert work.is_alive()
        assert drained(service) == 0
        work.join()
        assert load.told.counts == {"work 204": 1}, load.told


def upload(data: Path, *, rows: int) -> str:
    """A file of observations that is stored; gives its raw object."""
    runtime = runtime_for(Settings.read({"SKYBLEND_DATA": str(data)}))
    lines = (
        f"berlin,2026-11-{1 + n % 19:02}T{n % 24:02}:{n % 60:02}:00Z,{n % 30}" for n in range(rows)
    )
    content = "\n".join(["place,observed_at,temperature_2m", *lines]).encode()
    stored = uploads.store(
        runtime, io.BytesIO(content), file_name="a.csv", source="", now=datetime.now(UTC)
    )
    runtime.bus.close()
    return stored.object
