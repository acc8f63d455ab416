"""A kill between any two writes: the event comes again, and the end is the same."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from google.protobuf.proto import serialize_length_prefixed
from skyblend.ingest import uploads
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.folder import FolderStorage

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
TIDY = b"""source,place_id,latitude,longitude,elevation,issued_at,valid_at,temperature_2m
s,oslo,59.9,10.7,10,2026-11-20T06:00Z,2026-11-20T12:00Z,1.5
s,rome,41.9,12.5,20,2026-11-20T06:00Z,2026-11-20T12:00Z,9.5
s,a/b,41.9,12.5,20,2026-11-20T06:00Z,2026-11-20T12:00Z,9.5
"""


class Killed(BaseException):
    """What no code of ours catches."""


class Mortal(FolderStorage):
    """A folder whose writer dies at one of its writes; before the write, or after it."""

    def __init__(self, root):
        super().__init__(root)
        self.left, self.after = None, False

    def write(self, name, content, *, if_generation=None):
        if self.left is None:
            return super().write(name, content, if_generation=if_generation)
        self.left -= 1
        if self.left < 0 and not self.after:
            raise Killed
        generation = super().write(name, content, if_generation=if_generation)
        if self.left < 0:
            raise Killed
        return generation


@pytest.fixture
def fresh(tmp_path, open_meteo):
    """Makes a new folder with one raw object; gives its runtime and the object's name."""
    answer, body = open_meteo
    ways = [("oslo", 48.1, 11.6)], [("rome", 48.1, 11.6)]
    answers = [answer(body([1.5, 2.5]), place) for place in ways] + [answer(b"<html>", ways[0])]
    numbers = iter(range(100))

    def make(kind) -> tuple[Runtime, str]:
        base = runtime_for(Settings(data=tmp_path / str(next(numbers))))
        storage = Mortal(base.settings.root / "bucket")
        runtime = replace(base, storage=storage)
        if kind == "upload":
            stored = uploads.store(runtime, io.BytesIO(TIDY), file_name="a.csv", now=NOW)
            return runtime, stored.object
        name = names.answers("open_meteo", "forecast", NOW, "0" * 12)
        stream = io.BytesIO()
        for one in answers:
            serialize_length_prefixed(one, stream)
        storage.write(name, stream.getvalue())
        return runtime, name

    return make


def contents(runtime):
    listed = [one.name for one in runtime.storage.list("")]
    return {name: runtime.storage.read(name).data for name in listed}


@pytest.mark.parametrize(("kind", "after"), [("answers", False), ("upload", True)])
def test_a_kill_at_any_write_is_mended_by_the_repeat(fresh, kind, after):
    runtime, raw = fresh(kind)
    done = process(runtime, RawStored(object=raw), now=NOW)
    assert done.latest_places == ["oslo", "rome"]
    assert done.quarantined == 1
    expected = contents(runtime)
    kills = 0
    while True:
        runtime, raw = fresh(kind)
        runtime.storage.left, runtime.storage.after = kills, after
        try:
            process(runtime, RawStored(object=raw), now=NOW)
        except Killed:
            kills += 1
        else:
            break
        runtime.storage.left = None
        assert process(runtime, RawStored(object=raw), now=NOW) == done
        assert contents(runtime) == expected
        assert runtime.bus.pending() >= 1
    assert kills >= 4  # records, quarantine, runs, the mark; of an upload the places too
