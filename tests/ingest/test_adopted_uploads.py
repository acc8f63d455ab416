"""Files that came into the bucket by themselves: taken over once, refused once, never lost."""

import base64
import hashlib
import io
import json
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from flask import Flask, request
from gcs_server import serving
from google.protobuf.json_format import Parse
from skyblend.ingest.arrivals import LOOK, adopt, adopt_left, arrival_name, retry, stated
from skyblend.ingest.service import respond
from skyblend.ingest.uploads import BadUpload, store
from skyblend.protos.v1.records_pb2 import Upload
from skyblend.runtime import names
from skyblend.runtime.bus.push import decode
from skyblend.runtime.storage import Absent, StorageError
from skyblend.runtime.storage.finalized import Finalized
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.storage.gcs import GcsStorage
from skyblend.runtime.storage.memory import MemoryStorage

NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
CONTENT = b"source,place_id\nx,y\n"
RAW = names.upload(hashlib.sha256(CONTENT).hexdigest())
ARRIVED = "uploads/0123abcd.source-tidy.collect/a.csv"


@contextmanager
def _gcs(_):
    with serving() as gcs, pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        with closing(GcsStorage(gcs.bucket.name, project="p", patience=2)) as storage:
            yield storage


@contextmanager
def _folder(path):
    yield FolderStorage(path / "bucket")


@contextmanager
def _memory(_):
    yield MemoryStorage()


@pytest.fixture(params=[_memory, _folder, _gcs], ids=["memory", "folder", "gcs"])
def arrivals(request, runtime, tmp_path):
    """The runtime on each storage."""
    with request.param(tmp_path) as storage:
        yield replace(runtime, storage=storage)


def arrive(runtime, content=CONTENT, *, name=ARRIVED):
    """A file comes into the bucket; gives what Cloud Storage tells of it."""
    return Finalized("", name, runtime.storage.write(name, content))


def told(runtime):
    """The events on the bus."""
    return [decode(delivery.envelope).event for delivery in runtime.bus.lease(100)]


def listed(runtime, prefix=""):
    return [one.name for one in runtime.storage.list(prefix)]


def entries(runtime):
    found = []
    for name in listed(runtime, names.QUARANTINE):
        found += json.loads(runtime.storage.read(name).data)["entries"]
    return found


def test_an_arrival_becomes_an_upload(arrivals):
    stored = adopt(arrivals, arrive(arrivals), now=NOON)
    assert (stored.object, stored.created) == (RAW, True)
    assert arrivals.storage.read(RAW).data == CONTENT
    assert listed(arrivals, names.ARRIVALS) == []
    meta = Parse(arrivals.storage.read(names.upload_meta(RAW)).data, Upload())
    assert (meta.file_name, meta.source, meta.collect, meta.size) == ("a.csv", "tidy", True, 20)
    assert [(event.object, event.source) for event in told(arrivals)] == [(RAW, "tidy")]


def test_a_repeated_and_a_late_notification_change_nothing(arrivals):
    first = arrive(arrivals)
    adopt(arrivals, first, now=NOON)
    before = list(arrivals.storage.list(""))
    assert adopt(arrivals, first, now=NOON) is None
    assert list(arrivals.storage.list("")) == before
    assert len(told(arrivals)) == 1


def test_a_notification_of_a_replaced_generation_leaves_the_new_one(arrivals):
    first = arrive(arrivals, b"old")
    second = arrive(arrivals, b"new")
    assert adopt(arrivals, first, now=NOON) is None
    assert listed(arrivals) == [ARRIVED]
    assert adopt(arrivals, second, now=NOON).created
    assert listed(arrivals, names.UPLOADS) == [names.upload(hashlib.sha256(b"new").hexdigest())]


def test_deliveries_at_once_take_it_over_once(arrivals):
    notification = arrive(arrivals)
    barrier = threading.Barrier(8)

    def deliver(_):
        barrier.wait()
        return adopt(arrivals, notification, now=NOON)

    with ThreadPoolExecutor(8) as pool:
        done = [stored for stored in pool.map(deliver, range(8)) if stored is not None]
    assert [stored.created for stored in done].count(True) == 1
    assert listed(arrivals) == sorted([RAW, names.upload_meta(RAW)])
    assert {event.object for event in told(arrivals)} == {RAW}


def test_what_was_uploaded_already_is_not_doubled(arrivals):
    store(arrivals, io.BytesIO(CONTENT), file_name="a.csv", now=NOON)
    generation = arrivals.storage.generation(RAW)
    stored = adopt(arrivals, arrive(arrivals, name="uploads/x/a.csv"), now=NOON)
    assert not stored.created
    assert arrivals.storage.generation(RAW) == generation
    assert listed(arrivals, names.ARRIVALS) == []


@pytest.mark.parametrize(
    ("bucket", "name"),
    [("", RAW), ("", "latest/berlin.pb"), ("other", ARRIVED), ("", "uploads/folder/")],
)
def test_what_is_no_arrival_of_ours_is_left_alone(runtime, bucket, name):
    runtime = replace(runtime, settings=replace(runtime.settings, bucket="weather"))
    notification = Finalized(bucket or "weather", name, 5)
    assert adopt(runtime, notification, now=NOON) is None
    assert listed(runtime) == []


def test_a_file_that_is_too_large_stays_with_an_entry(arrivals):
    told_of = arrive(arrivals, b"x" * 1001)
    assert adopt(arrivals, told_of, now=NOON) is None
    assert listed(arrivals, names.ARRIVALS) == [ARRIVED]
    [entry] = entries(arrivals)
    assert entry["expected"] == "at most 1000 bytes (SKYBLEND_UPLOAD_LIMIT)"
    assert (entry["got"], entry["file_name"], entry["where"]) == ("1001 bytes", "a.csv", "size")
    assert told(arrivals) == []
    adopt(arrivals, told_of, now=NOON)
    assert entries(arrivals) == [entry]


def test_a_refused_file_is_taken_over_once_the_limit_allows_it(arrivals):
    told_of = arrive(arrivals, b"x" * 1001)
    adopt(arrivals, told_of, now=NOON)
    wide = replace(arrivals, settings=replace(arrivals.settings, upload_limit=2000))
    assert adopt(wide, told_of, now=NOON).created
    assert entries(arrivals) == listed(arrivals, names.ARRIVALS) == []


def test_a_refused_file_is_tried_again_by_hand(arrivals):
    adopt(arrivals, arrive(arrivals, b"x" * 1001), now=NOON)
    assert retry(arrivals, ARRIVED, now=NOON) is None
    wide = replace(arrivals, settings=replace(arrivals.settings, upload_limit=2000))
    assert retry(wide, ARRIVED, now=NOON).created
    assert entries(arrivals) == []


def test_a_refused_file_that_somebody_removed_has_no_entry_any_more(arrivals):
    adopt(arrivals, arrive(arrivals, b"x" * 1001), now=NOON)
    arrivals.storage.delete(ARRIVED)
    with pytest.raises(Absent, match="somebody removed it"):
        retry(arrivals, ARRIVED, now=NOON)
    assert entries(arrivals) == []


def test_an_arrival_nobody_told_of_is_taken_over_at_the_second_look(arrivals):
    arrive(arrivals)
    adopt_left(arrivals, NOON)
    adopt_left(arrivals, NOON + LOOK / 2)
    assert listed(arrivals, names.ARRIVALS) == [ARRIVED]
    adopt_left(arrivals, NOON + LOOK)
    assert listed(arrivals, names.ARRIVALS) == []
    assert [event.object for event in told(arrivals)] == [RAW]


def test_an_arrival_that_is_written_again_is_waited_for_again(arrivals):
    for number in range(3):
        arrive(arrivals, b"%d" % number)
        adopt_left(arrivals, NOON + number * LOOK)
    assert listed(arrivals, names.ARRIVALS) == [ARRIVED]


class Failing(MemoryStorage):
    """Cannot open one object."""

    def open(self, name):
        if name == "uploads/0/broken.csv":
            raise StorageError(name, "no bytes")
        return super().open(name)


def test_an_arrival_that_fails_stands_in_nobodys_way(runtime):
    runtime = replace(runtime, storage=Failing())
    arrive(runtime, name="uploads/0/broken.csv")
    arrive(runtime, b"another")
    for number in range(2):
        adopt_left(runtime, NOON + number * LOOK)
    assert listed(runtime, names.ARRIVALS) == ["uploads/0/broken.csv"]


def test_what_was_refused_stands_in_nobodys_way(arrivals):
    arrive(arrivals, b"x" * 1001, name="uploads/0/large.csv")
    arrive(arrivals)
    for number in range(3):
        adopt_left(arrivals, NOON + number * LOOK)
    assert listed(arrivals, names.ARRIVALS) == ["uploads/0/large.csv"]
    assert len(entries(arrivals)) == 1
    assert [event.object for event in told(arrivals)] == [RAW]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("uploads/1.source-sms/a.csv", "one of"),
        ("uploads/1/.hidden", "a name that an object may have"),
        ("uploads/1/a\tb", "a name that an object may have"),
        ("uploads//a.csv", "a name that an object may have"),
        ("uploads/1/a\u200bb.csv", "a printable file name"),
        ("uploads/1/a\ud800b.csv", "a name that an object may have"),
    ],
)
def test_a_name_that_cannot_be_is_refused_with_an_entry(runtime, name, expected):
    assert adopt(runtime, Finalized("", name, _generation(runtime, name)), now=NOON) is None
    [entry] = entries(runtime)
    assert expected in entry["expected"]
    assert told(runtime) == []


def _generation(runtime, name):
    """Of an object of that name, where our storage can make one; Cloud Storage takes any."""
    try:
        return runtime.storage.write(name, CONTENT)
    except Exception:  # noqa: BLE001 - the name is what is refused
        return 7


def test_another_source_than_the_one_that_read_it_is_refused(runtime):
    store(runtime, io.BytesIO(CONTENT), file_name="a.csv", now=NOON)
    said = {"source": "nws_scs", "forecasts": 3, "observations": 0, "quarantined": 0}
    said |= {"decoded_at": "2026-11-20T12:00:00Z"}
    runtime.storage.write(names.processed(RAW), json.dumps(said).encode())
    adopt(runtime, arrive(runtime), now=NOON)
    [entry] = entries(runtime)
    assert entry["expected"].startswith("nws_scs or none")
    assert listed(runtime, names.ARRIVALS) == [ARRIVED]


class Killed(BaseException):
    """The process is gone."""


class Dying:
    """A storage or bus whose process is killed before its `left`-th call that changes something."""

    CHANGES = frozenset({"write", "delete", "publish"})

    def __init__(self, real, left):
        self._real, self._left = real, left

    def __getattr__(self, name):
        if name in self.CHANGES:
            if not self._left[0]:
                raise Killed
            self._left[0] -= 1
        return getattr(self._real, name)


def _killed_after(runtime, steps, notification):
    """Whether the process that takes over is killed after so many steps."""
    left = [steps]
    dying = replace(runtime, storage=Dying(runtime.storage, left), bus=Dying(runtime.bus, left))
    try:
        adopt(dying, notification, now=NOON)
    except Killed:
        return True
    return False


@pytest.mark.parametrize("steps", range(6))
def test_a_kill_between_any_two_steps_loses_and_doubles_nothing(arrivals, steps):
    notification = arrive(arrivals)
    assert _killed_after(arrivals, steps, notification) == (steps < 5)  # 5 steps in all
    for _ in range(2):  # Pub/Sub delivers again what was not answered, and sometimes more
        adopt(arrivals, notification, now=NOON)
    assert listed(arrivals) == sorted([RAW, names.upload_meta(RAW)])
    assert arrivals.storage.read(RAW).data == CONTENT
    assert {event.object for event in told(arrivals)} == {RAW}


@pytest.mark.parametrize("steps", range(3))
def test_a_kill_after_it_was_processed_announces_nothing_again(arrivals, steps):
    store(arrivals, io.BytesIO(CONTENT), file_name="a.csv", source="tidy", collect=True, now=NOON)
    told(arrivals)
    arrivals.storage.write(names.processed(RAW), b'{"source": "tidy", "forecasts": 1, '
                           b'"observations": 0, "quarantined": 0, '
                           b'"decoded_at": "2026-11-20T12:00:00Z"}')  # fmt: skip
    notification = arrive(arrivals)
    _killed_after(arrivals, steps, notification)
    adopt(arrivals, notification, now=NOON)
    assert listed(arrivals, names.ARRIVALS) == []
    assert told(arrivals) == []


def test_a_large_file_goes_through_in_pieces(runtime, monkeypatch):
    content = random.Random(1).randbytes(3 << 20)
    piece = 1 << 20
    with serving() as gcs:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", gcs.url)
        with closing(GcsStorage(gcs.bucket.name, project="p", piece=piece)) as storage:
            settings = replace(runtime.settings, upload_limit=1 << 30, bucket=gcs.bucket.name)
            cloud = replace(runtime, storage=storage, settings=settings)
            generation = storage.write(ARRIVED, content)
            gcs.calls.clear()
            stored = adopt(cloud, Finalized(gcs.bucket.name, ARRIVED, generation), now=NOON)
            assert stored.sha256 == hashlib.sha256(content).hexdigest()
        pieces = [call for call in gcs.calls if "range" in call.headers]
        assert gcs.bucket.objects[stored.object].data == content
    assert gcs.kinds().count("PUT piece") == 4  # the last one is empty and tells the size
    assert len(pieces) < 12


def test_what_is_stated_stands_in_the_name_and_comes_back():
    name = arrival_name("a b.csv", source="tidy", collect=True)
    said = stated(name)
    assert (said.file_name, said.source, said.collect) == ("a b.csv", "tidy", True)
    assert stated("uploads/2026.01/x/b.csv") == replace(
        said, file_name="b.csv", source="", collect=False
    )
    assert stated("uploads/c.csv").file_name == "c.csv"
    assert arrival_name("a.csv") != arrival_name("a.csv")
    with pytest.raises(BadUpload, match="expected one of"):
        arrival_name("a.csv", source="sms")
    with pytest.raises(BadUpload, match="begins with a dot"):
        arrival_name(".csv")


@pytest.fixture
def client(runtime):
    app = Flask("ingest")

    @app.route("/<path:path>", methods=["POST"])
    def answer(path):
        return respond(request, runtime)

    return app.test_client()


def _notification(told_of, *, event="OBJECT_FINALIZE", **others):
    """The body that Pub/Sub pushes for a notification of Cloud Storage."""
    resource = {"kind": "storage#object", "name": told_of.name, "size": "20"}
    attributes = {
        "bucketId": "weather",
        "objectId": told_of.name,
        "objectGeneration": str(told_of.generation),
        "eventType": event,
        "eventTime": "2026-11-20T12:00:00.000000Z",
        "payloadFormat": "JSON_API_V1",
        "notificationConfig": "projects/_/buckets/weather/notificationConfigs/1",
        **others,
    }
    data = base64.b64encode(json.dumps(resource).encode()).decode()
    message = {"attributes": attributes, "data": data, "messageId": "1"}
    subscription = "projects/p/subscriptions/skyblend-upload-finalized"
    return {"message": message, "subscription": subscription}


@pytest.fixture
def push(client, runtime):
    def send(body, **headers):
        headers = headers or {"Authorization": f"Bearer {runtime.token}"}
        return client.post("/v1/events/upload-finalized", json=body, headers=headers)

    return send


def test_the_notification_of_cloud_storage_starts_it(push, runtime):
    assert push(_notification(arrive(runtime))).status_code == 204
    assert runtime.storage.read(RAW).data == CONTENT
    assert listed(runtime, names.ARRIVALS) == []


@pytest.mark.parametrize("event", ["OBJECT_DELETE", "OBJECT_ARCHIVE", "OBJECT_METADATA_UPDATE"])
def test_other_events_are_acknowledged_and_change_nothing(push, runtime, event):
    assert push(_notification(arrive(runtime), event=event)).status_code == 204
    assert listed(runtime) == [ARRIVED]


def test_a_refused_file_is_acknowledged(push, runtime):
    assert push(_notification(arrive(runtime, b"x" * 1001))).status_code == 204
    assert len(entries(runtime)) == 1


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ([], "message.attributes"),
        ({"message": {"data": ""}}, "message.attributes"),
        ({"message": {"attributes": {"type": "RawStored"}}}, "eventType"),
        (_notification(Finalized("", ARRIVED, 1), objectGeneration="one"), "objectGeneration"),
        (_notification(Finalized("", ARRIVED, 1), objectGeneration="9" * 5000), "objectGeneration"),
        (_notification(Finalized("", ARRIVED, 1), objectGeneration="\u0663"), "objectGeneration"),
        (_notification(Finalized("", ARRIVED, 1), objectId=""), "objectId"),
    ],
)
def test_a_push_that_is_no_notification_is_malformed(push, body, said):
    answer = push(body)
    assert answer.status_code == 400
    assert said in json.loads(answer.data)["detail"]


def test_a_notification_needs_a_credential(push, runtime):
    answer = push(_notification(arrive(runtime)), Authorization="Bearer wrong")
    assert answer.status_code in (401, 403)
    assert listed(runtime) == [ARRIVED]
