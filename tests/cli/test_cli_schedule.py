"""What a pipeline does by the clock, and first of all at its start."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from threading import Event

from skyblend.cli.schedule import Schedule
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.bus.push import decode
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings


def test_a_start_announces_at_once_what_a_dead_process_left(tmp_path: Path) -> None:
    runtime, stop, told = runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)})), Event(), []
    left = names.upload("ab" * 32)
    runtime.storage.write(left, b"x")
    # Announced already, as often as makes the next time a far one.
    state = {"at": datetime.now(UTC).isoformat(), "left": {left: 4}}
    runtime.storage.write(names.ANNOUNCED, json.dumps(state).encode())

    def post(path: str, body: bytes, headers: Mapping[str, str]) -> int:
        if not path.startswith("/v1/events/"):
            return 500
        told.append(decode(body).event)
        stop.set()
        return 204

    Schedule(runtime, post, stop=stop).start()
    assert stop.wait(20)
    assert told == [RawStored(object=left)]
