"""Messages that were given up, and the ledger, from the command line."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from google.protobuf.message import Message
from skyblend.cli.main import cli
from skyblend.predict.serve.ledger import Head, append
from skyblend.protos.v1.api_pb2 import Issued
from skyblend.protos.v1.events_pb2 import RawStored, RecordsReady
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.bus import MAX_ATTEMPTS
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)
Run = Callable[..., Result]


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return runtime_for(Settings.read({"SKYBLEND_DATA": str(tmp_path)}))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return lambda *arguments: CliRunner().invoke(cli, ["--data", str(tmp_path), *arguments])


def _given_up(runtime: Runtime, event: Message) -> str:
    id_ = runtime.bus.publish(event, trace="f" * 32)
    for _ in range(MAX_ATTEMPTS):
        runtime.bus.nack(id_, "answer 503")
    return id_


def test_a_dead_letter_is_named_listed_and_shown(runtime: Runtime, run: Run) -> None:
    id_ = _given_up(runtime, RecordsReady(object="raw/x", forecasts=3))
    status = run("status").output
    assert "0 messages, 1 given up: `skyblend dead-letters list` tells why" in status
    assert run("dead-letters", "list").output == f"{id_}  RecordsReady  raw/x  answer 503\n"
    shown = json.loads(run("dead-letters", "show", id_).output)
    assert shown == {
        "id": id_,
        "type": "RecordsReady",
        "trace": "f" * 32,
        "reason": "answer 503",
        "event": {"object": "raw/x", "forecasts": "3"},
    }


@pytest.mark.parametrize("every", [True, False])
def test_a_replayed_dead_letter_is_delivered(runtime: Runtime, run: Run, every: bool) -> None:
    id_ = _given_up(runtime, RecordsReady(object="raw/x"))
    result = run("dead-letters", "replay", "--all" if every else id_)
    assert (result.exit_code, result.output) == (0, "1 of 1 done\n")
    assert run("dead-letters", "list").output == ""


def test_a_dead_letter_that_meets_trouble_again_is_told(runtime: Runtime, run: Run) -> None:
    upload = names.upload("ab" * 32)
    runtime.storage.write(upload, b"temperature\n")
    (runtime.settings.root / "bucket" / "quarantine").write_bytes(b"where a folder should be")
    _given_up(runtime, RawStored(object=upload))
    result = run("dead-letters", "replay", "--all")
    assert result.exit_code == 1
    assert result.stdout == "0 of 1 done\n"
    assert "1 met trouble" in result.stderr


def test_which_dead_letter_is_said_and_must_be_one(runtime: Runtime, run: Run) -> None:
    assert run("dead-letters", "replay").exit_code == 2
    assert run("dead-letters", "replay", "x", "--all").exit_code == 2
    alive = runtime.bus.publish(RecordsReady(), trace="")
    for action in ("show", "replay"):
        result = run("dead-letters", action, alive)
        assert result.exit_code == 1
        assert f"no message {alive} was given up" in result.output


def test_a_changed_ledger_is_told(runtime: Runtime, run: Run) -> None:
    head = Head()
    for place in ("berlin", "oslo", "ulm"):
        issued = [Issued(place=Place(id=place))]
        head, _ = append(runtime.storage, issued, after=head, at=AT, still_new=lambda _, ours: ours)
    sound = run("ledger", "verify")
    assert (sound.exit_code, sound.output) == (0, "3 segments, 0 problems\n")
    name = names.ledger(2)
    content = runtime.storage.read(name).data
    runtime.storage.write(name, content.replace(b"oslo", b"Oslo"))
    unsound = run("ledger", "verify")
    assert unsound.exit_code == 1
    assert unsound.output.splitlines()[0] == f"{name}: its bytes are not those that were written"


def test_a_dead_letter_is_one_line_whatever_is_in_it(runtime: Runtime, run: Run) -> None:
    id_ = _given_up(runtime, RecordsReady(object="raw/x\n\x1b[31mred"))
    line = f"{id_}  RecordsReady  raw/x??[31mred  answer 503\n"
    assert run("dead-letters", "list").output == line
