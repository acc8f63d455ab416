import gzip
import io
import tarfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow.parquet as pq
import pytest
from skyblend.preprocess import quarantine
from skyblend.preprocess.compaction import compact_closed_days
from skyblend.preprocess.mark import write_mark
from skyblend.preprocess.process import process
from skyblend.preprocess.replay import replay
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names, places
from skyblend.runtime.storage import Absent
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.tables import Query, View

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
MUNICH = ("munich", 48.13, 11.58)
ALL = Query(view=View.VERSIONS)


def objects(runtime):
    """Name and bytes of every object but the marks, which tell the time."""
    listed = (one.name for one in runtime.storage.list(""))
    return {n: runtime.storage.read(n).data for n in listed if not n.startswith("processed/")}


def bulletins(archives, month="01", count=None):
    with tarfile.open(archives / f"nws_scs/raw/scs_2021-{month}.tar.gz") as tar:
        files = sorted((m for m in tar.getmembers() if m.isfile()), key=_by_time)[:count]
        return [(m.name, tar.extractfile(m).read()) for m in files]


def _by_time(member):
    """The four parts of one issue together."""
    return member.name.rpartition("_")[2][:11], member.name


def packed(files):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tar:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return stream.getvalue()


def test_an_answer_becomes_forecasts_with_their_times(runtime, collected, open_meteo):
    answer, body = open_meteo
    done = collected(answer(body([4.5, None, 6.25]), [MUNICH]))
    rows = runtime.tables.forecasts(ALL).sort_by("valid_at").to_pylist()
    assert (done.members, done.forecasts, done.observations, done.quarantined) == (1, 2, 0, 0)
    assert [row["temperature_2m"] for row in rows] == [4.5, 6.25]
    first = rows[0]
    assert first["issued_at"] == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert first["valid_at"] == datetime(2026, 11, 20, 10, tzinfo=UTC)
    assert first["known_at"] == first["received_at"] == NOW
    assert (first["place_id"], first["period"], first["latitude"]) == ("munich", 0, 48.1)
    assert first["raw"] == done.raw


def test_a_repeat_writes_the_same_bytes(runtime, collected, open_meteo):
    answer, body = open_meteo
    one = answer(body([4.5, 99.0, 6.25]), [MUNICH])
    collected(one)
    before = objects(runtime)
    collected(one, force=True)
    assert objects(runtime) == before


def test_a_repeat_finds_the_mark_and_announces_again(runtime, collected, open_meteo):
    answer, body = open_meteo
    one = answer(body([4.5, 6.25]), [MUNICH])
    first, second = collected(one), collected(one)
    assert first == second
    assert first.latest_places == ["munich"]
    assert runtime.bus.pending() == 2


def test_after_a_kill_before_the_mark_all_is_done_again(runtime, collected, open_meteo):
    answer, body = open_meteo
    one = answer(body([4.5, 6.25]), [MUNICH])
    first = collected(one)
    before = objects(runtime)
    runtime.storage.delete(names.processed(first.raw))
    assert collected(one) == first
    assert objects(runtime) == before


def test_a_mark_made_before_something_was_stated_is_no_mark(runtime, take_in):
    """A decoding that began before the statement may write its mark after it."""
    rows = b"place_id,latitude,longitude,elevation,observed_at,temperature_2m\n"
    rows += b"a,48,11,500,2026-11-19T10:00:00Z,4.5\n"
    early = take_in(rows, collect=False)
    late = take_in(rows, collect=True)
    write_mark(runtime.storage, early)
    assert process(runtime, RawStored(object=late.raw), now=NOW).stated == late.stated
    assert places.read(runtime.storage)["a"].collect


class Counting(FolderStorage):
    """Keeps the names that were opened."""

    def open(self, name):
        self.__dict__.setdefault("opened", []).append(name)
        return super().open(name)


def test_answers_are_opened_once(runtime, collected, open_meteo):
    answer, body = open_meteo
    raw = collected(answer(body([4.5]), [MUNICH])).raw
    counting = replace(runtime, storage=Counting(runtime.storage.root))
    assert process(counting, RawStored(object=raw), now=NOW, force=True).forecasts == 1
    assert counting.storage.opened.count(raw) == 1


def test_a_bad_answer_leaves_the_others_whole(runtime, collected, open_meteo):
    answer, body = open_meteo
    done = collected(
        answer(b"<html>busy</html>", [MUNICH]),
        answer(body([4.5]), [MUNICH]),
    )
    (entry,) = quarantine.entries(runtime.storage)
    assert (done.members, done.forecasts, done.quarantined) == (2, 1, 1)
    assert (entry["member"], entry["source"], entry["raw"]) == ("answer 0", "open_meteo", done.raw)
    assert "html" in entry["got"].lower() + entry["sample"].lower()


def test_a_cut_raw_object_keeps_its_whole_answers(runtime, collected, open_meteo):
    answer, body = open_meteo
    done = collected(answer(body([4.5]), [MUNICH]), answer(body([5.5]), [MUNICH]))
    whole = runtime.storage.read(done.raw).data
    runtime.storage.write(done.raw, whole[:-10])
    again = process(runtime, RawStored(object=done.raw), now=NOW, force=True)
    assert (again.forecasts, again.quarantined) == (1, 1)
    (entry,) = quarantine.entries(runtime.storage)
    assert entry["expected"] == "a whole answer as ingest stores it"


def test_a_raw_object_that_is_absent_is_our_own_trouble(runtime):
    with pytest.raises(Absent):
        process(runtime, RawStored(object="raw/open_meteo/2026-11-20/x.pb"), now=NOW)


def test_values_that_cannot_be_are_kept_with_their_flag(runtime, collected, open_meteo):
    answer, body = open_meteo
    collected(answer(body([4.5, 75.0]), [MUNICH]))
    good, bad = runtime.tables.forecasts(ALL).sort_by("valid_at").to_pylist()
    assert good["flags"] == []
    assert bad["temperature_2m"] == 75.0
    assert bad["flags"] == [
        {"variable": "temperature_2m", "check": "range", "reason": "expected -95 to 60, got 75"}
    ]


def test_bulletins_of_an_archive_become_records(runtime, take_in, archives):
    done = take_in(packed(bulletins(archives, count=4)), "scs.tar.gz")
    # 36 + 44 + 47 + 37 = 164 cities, two highs and two lows each
    assert (done.source, done.members, done.forecasts, done.quarantined) == ("nws_scs", 4, 656, 0)
    assert (done.versions, done.unchanged) == (done.forecasts + done.observations, 0)
    rows = runtime.tables.forecasts(Query(places=("BOSTON",), view=View.VERSIONS)).to_pylist()
    assert len(rows) == 4
    assert {row["raw"] for row in rows} == {f"{done.raw}#{rows[0]['raw'].split('#')[1]}"}
    assert len(places.read(runtime.storage)) == 164


def test_the_same_bulletins_in_another_archive_change_nothing(runtime, take_in, archives):
    files = bulletins(archives, count=4)
    first = take_in(packed(files), "one.tar.gz")
    second = take_in(packed(files[::-1]), "two.tar.gz", now=NOW + timedelta(hours=1))
    assert second.forecasts == first.forecasts
    assert (second.versions, second.unchanged) == (0, second.forecasts + second.observations)


def test_known_places_keep_their_position(runtime, take_in, archives):
    places.add(runtime.storage, [Place(id="BOSTON", latitude=42.36, longitude=-71.06)])
    take_in(packed(bulletins(archives, count=4)), "scs.tar.gz")
    found = places.read(runtime.storage)
    assert (found["BOSTON"].latitude, found["BOSTON"].collect) == (42.36, False)
    assert not found["BUFFALO"].HasField("latitude")


def test_archives_do_not_touch_latest(runtime, take_in, archives):
    done = take_in(packed(bulletins(archives, count=4)), "scs.tar.gz")
    assert done.latest_places == []
    assert list(runtime.storage.list(names.LATEST)) == []


def test_a_bulletin_cut_in_the_middle_is_quarantined_alone(runtime, take_in, archives):
    (name, whole), *others = bulletins(archives, count=4)
    done = take_in(packed([(name, whole[: len(whole) // 2]), *others]), "scs.tar.gz")
    (entry,) = quarantine.entries(runtime.storage)
    assert (done.members, done.quarantined) == (4, 1)
    assert (entry["file_name"], entry["member"]) == ("scs.tar.gz", name)
    assert entry["expected"]
    rows = runtime.tables.forecasts(ALL)
    assert f"{done.raw}#{name}" not in rows.column("raw").to_pylist()


def test_a_truncated_archive_keeps_its_whole_members(runtime, take_in, archives):
    content = packed(bulletins(archives, count=8))
    done = take_in(content[: len(content) * 3 // 4], "scs.tar.gz")
    assert done.quarantined == 1
    assert done.members > 3
    assert done.forecasts > 0


def test_what_nobody_recognises_says_what_was_expected(runtime, take_in):
    done = take_in(b"\x89PNG\r\n", "picture.png")
    (entry,) = quarantine.entries(runtime.storage)
    assert (done.forecasts, done.quarantined) == (0, 1)
    assert "nws_scs" in entry["expected"]
    assert "PNG" in entry["got"]
    assert quarantine.show(runtime.storage, entry["id"]) == entry


def test_a_replay_repairs_what_a_better_decoder_reads(runtime, take_in, archives):
    """The bulletin was stored under the wrong source; with the right one the entry is gone."""
    (_, whole), *_ = bulletins(archives, count=1)
    done = take_in(gzip.compress(whole), "scs.gz", source="open_meteo")
    (entry,) = quarantine.entries(runtime.storage)
    meta = runtime.storage.read(names.upload_meta(done.raw)).data
    runtime.storage.write(names.upload_meta(done.raw), meta.replace(b"open_meteo", b"nws_scs"))
    again = replay(runtime, entry["id"], now=NOW + timedelta(days=1))
    assert list(quarantine.entries(runtime.storage)) == []
    assert again.quarantined == 0
    assert again.received_at == done.received_at
    assert runtime.tables.forecasts(ALL).num_rows == again.forecasts > 0


def test_a_replay_that_finds_nothing_takes_the_old_records_away(runtime, take_in, archives):
    (_, whole), *_ = bulletins(archives, count=1)
    done = take_in(whole, "scs.txt")
    meta = runtime.storage.read(names.upload_meta(done.raw)).data
    runtime.storage.write(
        names.upload_meta(done.raw), meta.replace(b"{", b'{"source": "open_meteo", ', 1)
    )
    process(runtime, RawStored(object=done.raw), now=NOW, force=True)
    assert runtime.tables.forecasts(ALL).num_rows == 0
    assert list(runtime.storage.list(names.FORECASTS)) == []


def test_no_entry_of_that_id(runtime):
    with pytest.raises(quarantine.NoEntry):
        replay(runtime, "0" * 12, now=NOW)


def test_closed_days_are_compacted_and_a_replay_replaces_its_rows(runtime, collected, open_meteo):
    answer, body = open_meteo
    for number in range(12):
        one = answer(body([4.5 + number]), [(f"place-{number}", 48.13, 11.58)])
        last = collected(one, number=number)
    assert compact_closed_days(runtime, now=NOW) == 0  # the day is not over
    before = runtime.tables.forecasts(ALL).sort_by("place_id").to_pylist()
    assert compact_closed_days(runtime, now=NOW + timedelta(days=1)) == 12
    assert len(list(runtime.storage.list(names.FORECASTS))) == 1
    assert runtime.tables.forecasts(ALL).sort_by("place_id").to_pylist() == before
    process(runtime, RawStored(object=last.raw), now=NOW, force=True)
    assert runtime.tables.forecasts(ALL).sort_by("place_id").to_pylist() == before


def test_record_files_hold_plain_columns(runtime, collected, open_meteo):
    answer, body = open_meteo
    done = collected(answer(body([4.5, float(np.float32(1.1))]), [MUNICH]))
    name = names.forecasts(done.raw, NOW.date())
    with runtime.storage.open(name) as stream:
        schema = pq.read_schema(stream)
    assert str(schema.field("place_id").type) == "string"
    assert str(schema.field("valid_at").type) == "timestamp[us, tz=UTC]"


def test_an_upload_that_reaches_ahead_is_a_run_to_issue_from(runtime, take_in):
    header = b"source,place_id,latitude,longitude,elevation,issued_at,valid_at,temperature_2m\n"
    rows = [f"s,oslo,59.9,10.7,10,2026-11-20T06:00Z,2026-11-20T{h}:00Z,1.5\n" for h in (12, 13)]
    done = take_in(header + "".join(rows).encode(), collect=True)
    assert done.latest_places == ["oslo"]
    oslo = places.read(runtime.storage)["oslo"]
    assert (oslo.latitude, oslo.longitude, oslo.elevation, oslo.collect) == (59.9, 10.7, 10, True)
