"""What `up` tells while the pipeline comes to life."""

from pathlib import Path
from threading import Event

import pytest
from skyblend.cli.progress import Progress
from skyblend.cli.schedule import Schedule
from skyblend.runtime import names
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings


class SetOnceLookedAt(Event):
    """Not set at the first look."""

    def is_set(self) -> bool:
        found = super().is_set()
        self.set()
        return found


def test_the_lines_come_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runtime = runtime_for(Settings(data=tmp_path))
    runtime.storage.write(names.issued("Ulm"), b"")
    schedule = Schedule(runtime, lambda *_: 204, stop=Event())
    schedule.trained = SetOnceLookedAt()
    Progress(runtime, schedule, address="http://127.0.0.1:8080").tell()
    lines = capsys.readouterr().out.splitlines()
    recorded = "recorded 0 of 0 answers, past forecasts and observations included"
    assert [line[:6].strip() for line in lines] == [
        *("[1/5]", "[2/5]", "[3/5]", "[4/5]", "", "[5/5]")
    ]
    assert lines[2] == f"[3/5] {recorded}"
    assert lines[4] == f"      {recorded}"
    runtime.bus.close()
