import hashlib
import io
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from google.protobuf.json_format import Parse
from skyblend.ingest.announce import reannounce
from skyblend.ingest.uploads import BadUpload, TooLarge, store
from skyblend.protos.v1.records_pb2 import RawAnswer, Upload
from skyblend.runtime import names
from skyblend.runtime.bus.push import decode
from skyblend.runtime.raw import encode
from skyblend.runtime.storage import Absent
from skyblend.runtime.storage.memory import MemoryStorage

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CONTENT = b"source,place_id\nx,y\n"
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def mark(runtime, name, **counts):
    """What preprocess writes last."""
    said = {"source": "tidy", "forecasts": 0, "observations": 0, "quarantined": 0}
    said |= {"decoded_at": "2026-11-20T12:00:00Z", **counts}
    runtime.storage.write(names.processed(name), json.dumps(said).encode())


@pytest.fixture
def upload(runtime):
    def run(content=CONTENT, *, now=NOON, file_name="a.csv", **options):
        return store(runtime, io.BytesIO(content), file_name=file_name, now=now, **options)

    return run


def meta(runtime, stored):
    return Parse(runtime.storage.read(names.upload_meta(stored.object)).data, Upload())


def test_a_file_is_stored_as_it_came_under_its_sha256(runtime, upload):
    stored = upload(source="tidy")
    assert (stored.sha256, stored.object) == (SHA256, f"raw/uploads/{SHA256}")
    assert stored.created
    assert runtime.storage.read(stored.object).data == CONTENT
    known = meta(runtime, stored)
    assert (known.file_name, known.source, known.size) == ("a.csv", "tidy", 20)
    assert known.received_at.ToDatetime(UTC) == NOON


def test_it_is_announced(runtime, upload):
    stored = upload(source="tidy")
    [delivery] = runtime.bus.lease(10)
    event = decode(delivery.envelope).event
    assert delivery.id == stored.event
    assert (event.object, event.source) == (stored.object, "tidy")
    assert event.received_at.ToDatetime(UTC) == NOON


def test_the_same_bytes_again_keep_the_first_time_and_are_not_announced_once_processed(
    runtime, upload
):
    mark(runtime, upload().object)
    again = upload(now=NOON + timedelta(hours=1), file_name="b.csv")
    assert (again.created, again.event) == (False, "")
    assert meta(runtime, again).received_at.ToDatetime(UTC) == NOON
    assert meta(runtime, again).file_name == "a.csv"
    assert runtime.bus.pending() == 1


def test_a_source_that_is_named_only_now_has_the_file_processed_again(runtime, upload):
    first = upload()
    mark(runtime, first.object)
    again = upload(source="tidy", collect=True)
    assert again.event
    assert runtime.storage.generation(names.processed(first.object)) == 0
    known = meta(runtime, again)
    assert (known.source, known.collect) == ("tidy", True)
    assert not upload().created
    assert meta(runtime, again).source == "tidy"


def test_an_upload_of_exactly_the_limit_is_taken_and_one_byte_more_is_not(runtime, upload):
    assert upload(b"x" * 1000).created
    with pytest.raises(TooLarge, match="at most 1000 bytes"):
        upload(b"y" * 1001)
    stored = [one.name for one in runtime.storage.list("raw/")]
    assert stored == [f"raw/uploads/{hashlib.sha256(b'x' * 1000).hexdigest()}"]
    assert runtime.bus.pending() == 1


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\a.csv", "a.csv"),
        ("Überblick 1.csv", "Überblick 1.csv"),
    ],
)
def test_of_a_file_name_the_last_part_is_kept(runtime, upload, given, kept):
    assert meta(runtime, upload(file_name=given)).file_name == kept


@pytest.mark.parametrize("name", ["", "/", "a\nb", "x" * 256])
def test_a_file_name_that_cannot_be_is_refused(runtime, upload, name):
    with pytest.raises(BadUpload, match="expected a printable file name"):
        upload(file_name=name)
    assert list(runtime.storage.list("")) == []


def test_an_unknown_source_is_refused_with_those_there_are(upload):
    with pytest.raises(BadUpload, match=r"expected one of .*nws_scs.*, got 'sms'"):
        upload(source="sms")


def test_an_upload_whose_event_was_lost_is_announced_again(runtime, upload):
    stored = upload(source="tidy")
    runtime.bus.ack(stored.event)
    assert reannounce(runtime, NOON) == [stored.object]
    [delivery] = runtime.bus.lease(10)
    assert decode(delivery.envelope).event.source == "tidy"
    assert reannounce(runtime, NOON + timedelta(minutes=2)) == []
    assert reannounce(runtime, NOON + timedelta(minutes=2), every=timedelta(0)) == [stored.object]


def test_a_task_that_a_kill_left_unannounced_is_announced_after_days_of_rest(runtime):
    assert reannounce(runtime, NOON) == []
    name = names.answers("tidy", "forecast", NOON, "0" * 12)
    answer = RawAnswer()
    answer.fetch.source = "tidy"
    runtime.storage.write(name, encode([answer]))
    monday = NOON + timedelta(days=3)
    assert reannounce(runtime, monday) == [name]
    # 1st and 2nd time, not the 3rd, 4th: what is left stays in mind.
    later = [reannounce(runtime, monday + i * timedelta(days=2)) for i in range(1, 4)]
    assert later == [[name], [], [name]]
    mark(runtime, name)
    assert reannounce(runtime, monday + timedelta(days=20)) == []


class Killed(Exception):
    """The process ends here."""


class KilledAtDelete(MemoryStorage):
    """A bucket that ends the process before the deletion number `at`."""

    at = 0

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        self.at -= 1
        if self.at == 0:
            raise Killed(name)
        super().delete(name, if_generation=if_generation)


@pytest.mark.parametrize("at", [1, 2])
def test_a_source_that_is_stated_later_counts_whenever_the_process_is_killed(runtime, at):
    storage = KilledAtDelete()
    runtime = replace(runtime, storage=storage)
    stored = store(runtime, io.BytesIO(b"x"), file_name="a.csv", now=NOON)
    mark(runtime, stored.object)
    storage.at = at
    with pytest.raises(Killed):
        store(runtime, io.BytesIO(b"x"), file_name="a.csv", source="tidy", now=NOON)
    again = store(runtime, io.BytesIO(b"x"), file_name="a.csv", source="tidy", now=NOON)
    assert again.event
    assert meta(runtime, again).source == "tidy"
    assert not storage.generation(names.processed(stored.object))


def test_a_clock_that_was_set_back_does_not_stop_announcing(runtime, upload):
    stored = upload()
    assert reannounce(runtime, NOON + timedelta(days=1)) == [stored.object]
    assert reannounce(runtime, NOON) == [stored.object]


def test_an_upload_without_what_is_known_of_it_is_still_announced(runtime):
    runtime.storage.write(names.upload("0" * 64), b"x")
    with pytest.raises(Absent):
        runtime.storage.read(names.upload_meta(names.upload("0" * 64)))
    assert reannounce(runtime, NOON) == [names.upload("0" * 64)]


def test_what_stays_unprocessed_is_announced_ever_more_seldom(runtime, upload):
    upload()
    passes = [NOON + i * timedelta(minutes=3) for i in range(16)]
    announced = [i + 1 for i, now in enumerate(passes) if reannounce(runtime, now)]
    assert announced == [1, 2, 4, 8, 16]


def test_stating_another_source_does_not_empty_what_a_file_gave(runtime, upload):
    stored = upload()
    mark(runtime, stored.object, forecasts=3)
    with pytest.raises(
        BadUpload, match="expected tidy or none, as this file gave 3 records as tidy"
    ):
        upload(source="nws_scs")
    assert runtime.storage.generation(names.processed(stored.object))
    assert upload(source="tidy").object == stored.object
