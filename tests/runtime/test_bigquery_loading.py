"""Load jobs into BigQuery, with the real client against our own small server: repeated, broken off,
failed, lost, and by several loaders at once, the rows are those of the record objects."""

import json
import os
import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bigquery_server import BigQueryServer, serving
from skyblend.runtime import names
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.memory import MemoryStorage
from skyblend.runtime.tables import Loaded, Query, TablesError, columns
from skyblend.runtime.tables.bigquery import (
    BigQueryTables,
    loading,
    schema,
    statements,
    tables,
    training,
)
from skyblend.runtime.tables.bigquery.connection import Connection
from skyblend.runtime.tables.bigquery.contents import Unreadable, contents
from skyblend.runtime.tables.bigquery.loading import Loading

T0 = datetime(2026, 11, 20, tzinfo=UTC)
A, B = [1.0, 2.0], [3.0]
FORECASTS = schema.kinds()[0]
TABLES = ["forecasts", training.NAME]
PROVE = bool(os.environ.get("SKYBLEND_PROVE"))
PLACES = 2000 if PROVE else 100  # in which a record object is damaged
STEP = 1 if PROVE else 14
DAY = f"{names.FORECASTS}2026-11-20/"


def settings(**given: Any) -> Settings:
    return Settings(
        storage="gcs", tables="bigquery", bucket="b", project="p", dataset="d", auth="none", **given
    )


def parquet(raw: str, values: list[float], *, day: int = 0) -> bytes:
    """The forecasts of one raw object, an hour apart from midnight of a day."""
    start = T0 + timedelta(days=day)
    rows = [
        {
            "source": "x", "model": "m", "member": "", "place_id": "P", "issued_at": start,
            "valid_at": start + timedelta(hours=hour), "period": 0, "known_at": start,
            "received_at": start, "raw": raw, "flags": [], "temperature_2m": value,
        }
        for hour, value in enumerate(values)
    ]  # fmt: skip
    return written(pa.Table.from_pylist(rows, schema=columns.forecasts()))


def written(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


class Bucket(MemoryStorage):
    """A bucket with record objects, and the tables that are told of them."""

    tables: BigQueryTables

    def put(self, name: str, values: list[float], *, day: int = 0) -> None:
        self.write(f"{DAY}{name}.parquet", parquet(f"raw/x/{name}.pb", values, day=day))
        self.tables.load(f"{DAY}{name}.parquet")

    def remove(self, name: str) -> None:
        self.tables.unload(f"{DAY}{name}.parquet")
        self.delete(f"{DAY}{name}.parquet")

    def object(self, uri: str) -> bytes:
        return self.read(uri.removeprefix("gs://b/")).data

    def state(self) -> list[str]:
        """What stands of loading: notes, and what a manifest holds."""
        found = [listed.name for listed in self.list(names.PENDING)]
        for listed in self.list(names.LOADING):
            found += [one["record"] for one in json.loads(self.read(listed.name).data)["entries"]]
        return found


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def server(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[BigQueryServer]:
    with serving(bucket.object) as running:
        monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", running.url)
        bucket.tables = BigQueryTables(settings(), bucket)
        with closing(bucket.tables.connection.client):
            yield running


def rows(name: str, values: list[float]) -> list[tuple[str, float]]:
    return [(f"raw/x/{name}.pb", value) for value in values]


def held(server: BigQueryServer, columns: str = "raw, temperature_2m") -> list[Any]:
    """What stands in forecasts, and just so in the table of training: all runs are of midnight."""
    stored = server.rows("forecasts", columns)
    assert server.rows(training.NAME, columns) == stored
    return stored


def steps(server: BigQueryServer) -> list[str]:
    """The jobs that were begun, as attempt and step: `0_load`."""
    return ["_".join(name.split("_")[-2:]) for name in server.begun]


def test_what_is_noted_is_loaded_by_one_job_and_put_in_place_by_another(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    bucket.put("b", B, day=1)
    assert bucket.tables.load_pending() == Loaded(objects=2, rows=3)
    assert held(server) == rows("a", A) + rows("b", B)
    assert steps(server) == ["0_load", "0_replace"]
    assert bucket.state() == []
    assert sorted(server.tables) == TABLES  # no staging table is left
    assert bucket.tables.load_pending() == Loaded()
    assert len(server.begun) == 2


def test_the_table_is_partitioned_by_day_and_wants_a_bound(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    bucket.tables.load_pending()
    table = server.tables["forecasts"]
    assert table["timePartitioning"] == {"type": "DAY", "field": "valid_at"}
    assert table["requirePartitionFilter"] is True
    assert table["clustering"] == {"fields": ["place_id", "source"]}
    assert [one["name"] for one in table["schema"]["fields"]] == columns.forecasts().names


def test_the_table_of_training_holds_few_runs_and_columns(
    bucket: Bucket, server: BigQueryServer
) -> None:
    """A run of 1 h, a member, and a row without a variable that is blended stay out; what follows
    from another column is null, and costs nothing."""
    row = pq.read_table(pa.BufferReader(parquet("raw/x/a.pb", [1.0]))).to_pylist()[0]
    told = [
        row,
        row | {"issued_at": T0 + timedelta(hours=1)},
        row | {"member": "1"},
        row | {"temperature_2m": None, "dew_point_2m": 1.0},
        row | {"raw": "raw/uploads/f#m", "received_at": T0 + timedelta(hours=2), "period": 3600},
        row | {"issued_at": T0 + timedelta(hours=18, minutes=59)},
    ]
    table = pa.Table.from_pylist(told, schema=columns.forecasts())
    bucket.write(f"{DAY}a.parquet", written(table))
    bucket.tables.load(f"{DAY}a.parquet")
    assert bucket.tables.load_pending() == Loaded(objects=1, rows=6)
    found = server.rows(training.NAME, "raw, HOUR(issued_at), turn, HOUR(received_at), period")
    assert found == [
        ("raw/uploads/f#m", 0, "raw/uploads/f#m", 2, 3600),
        ("raw/x/a.pb", 0, None, None, None),
        ("raw/x/a.pb", 18, None, None, None),
    ]
    bucket.remove("a")
    bucket.tables.load_pending()
    assert held(server) == []


def test_observations_are_in_one_table(bucket: Bucket, server: BigQueryServer) -> None:
    row = {"source": "x", "place_id": "P", "observed_at": T0, "period": 0, "known_at": T0,
           "received_at": T0, "raw": "raw/x/o.pb", "flags": [], "temperature_2m": 1.0}  # fmt: skip
    name = f"{names.OBSERVATIONS}2026-11-20/o.parquet"
    bucket.write(name, written(pa.Table.from_pylist([row], schema=columns.observations())))
    bucket.tables.load(name)
    assert bucket.tables.load_pending() == Loaded(objects=1, rows=1)
    assert list(server.tables) == ["observations"]


def test_a_data_set_that_is_older_than_the_table_of_training(
    bucket: Bucket, server: BigQueryServer
) -> None:
    """Until it is filled, each load brings what it holds; then it holds all, however often."""
    bucket.put("a", A)
    bucket.put("b", B, day=1)
    bucket.tables.load_pending()
    client = bucket.tables.connection.client
    client.delete_table(f"p.d.{training.NAME}")
    assert bucket.tables.table_of(Query()).name == "forecasts"
    bucket.put("a", B)
    bucket.tables.load_pending()
    assert server.rows(training.NAME) == rows("a", B)
    quoted = bucket.tables.connection.quoted
    copy = training.copies(FORECASTS)[1]
    for _ in range(2):
        text = statements.refilling(copy, FORECASTS, quoted=quoted, first=T0.date())
        client.query(text, bucket.tables.connection.query_config(())).result()
        assert held(server) == rows("a", B) + rows("b", B)


def test_a_staging_table_that_is_left_goes_by_itself(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    last = 1
    while len(server.tables) < 3 or "expirationTime" not in str(server.tables):
        with pytest.raises(Killed):
            mortal_loading(bucket, last, after=True).run()
        last += 1
    (staging,) = (table for name, table in server.tables.items() if name not in TABLES)
    in_three_days = (datetime.now(UTC) + timedelta(days=3)).timestamp()
    assert abs(int(staging["expirationTime"]) / 1000 - in_three_days) < 3600


def test_a_failed_attempt_leaves_no_staging_table(bucket: Bucket, server: BigQueryServer) -> None:
    bucket.put("a", A)
    server.trouble.failing["query"] = ["out of luck"] * loading.ATTEMPTS
    with pytest.raises(TablesError):
        bucket.tables.load_pending()
    assert sorted(server.tables) == TABLES


def test_a_staging_table_that_is_gone_is_loaded_again(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    server.trouble.held = True
    Loading(bucket.tables.connection, bucket, FORECASTS, wait=0).run()
    server.trouble.held = False
    (staging,) = (name for name in server.tables if name not in TABLES)
    bucket.tables.connection.client.delete_table(f"p.d.{staging}")
    assert bucket.tables.load_pending() == Loaded(objects=1, rows=2)
    assert steps(server) == ["0_load", "0_replace", "1_load", "1_replace"]
    assert held(server) == rows("a", A)


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("load", ["0_load", "1_load", "1_replace"]),
        ("query", ["0_load", "0_replace", "1_load", "1_replace"]),
    ],
)
def test_a_failed_job_is_tried_again_under_the_next_number(
    bucket: Bucket, server: BigQueryServer, step: str, expected: list[str]
) -> None:
    server.trouble.failing[step] = ["The job exceeded its luck"]
    bucket.put("a", A)
    assert bucket.tables.load_pending() == Loaded(objects=1, rows=2)
    assert steps(server) == expected
    assert held(server) == rows("a", A)


def test_what_fails_again_and_again_is_told_and_goes_on_in_the_next_run(
    bucket: Bucket, server: BigQueryServer
) -> None:
    server.trouble.failing["load"] = ["no luck"] * 3
    bucket.put("a", A)
    with pytest.raises(TablesError, match="3 attempts to load forecasts failed, last: no luck"):
        bucket.tables.load_pending()
    bucket.put("b", B)
    assert bucket.tables.load_pending() == Loaded(objects=2, rows=3)
    assert steps(server)[-2:] == ["3_load", "3_replace"]
    assert held(server) == rows("a", A) + rows("b", B)
    bucket.put("c", B)
    bucket.tables.load_pending()
    assert steps(server)[-2:] == ["0_load", "0_replace"]


def test_content_a_then_b_then_a_is_loaded_three_times(
    bucket: Bucket, server: BigQueryServer
) -> None:
    for content in (A, B, A):
        bucket.put("a", content)
        assert bucket.tables.load_pending().objects == 1
        assert held(server) == rows("a", content)
    assert len(set(server.begun)) == 6
    assert server.repeats == 0
    deleting = [text for text in server.statements if "DELETE" in text]
    assert len(deleting) == 2  # there was nothing to delete at first


def test_a_replay_that_gives_other_days_leaves_no_row_behind(
    bucket: Bucket, server: BigQueryServer
) -> None:
    for day in (0, 5, 2):
        bucket.put("a", A, day=day)
        bucket.tables.load_pending()
        assert held(server, "DISTINCT DAY(valid_at)") == [(20 + day,)]


def test_the_older_days_are_not_forgotten_when_an_attempt_fails(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    bucket.tables.load_pending()
    bucket.put("a", B, day=5)
    server.trouble.failing["query"] = ["no luck"]
    bucket.tables.load_pending()
    assert held(server) == rows("a", B)


def test_a_replay_that_gives_no_rows_takes_them_out(bucket: Bucket, server: BigQueryServer) -> None:
    bucket.put("a", A)
    bucket.put("b", B)
    bucket.tables.load_pending()
    bucket.remove("a")
    assert bucket.tables.load_pending() == Loaded(removed=1)
    assert held(server) == rows("b", B)
    assert steps(server)[2:] == ["0_replace"]  # there is nothing to load
    assert not bucket.generation(names.loaded(f"{DAY}a.parquet"))
    bucket.put("a", B)
    bucket.tables.load_pending()
    assert held(server) == rows("a", B) + rows("b", B)


def test_rows_go_before_their_object_is_deleted(bucket: Bucket, server: BigQueryServer) -> None:
    bucket.put("a", A)
    bucket.tables.load_pending()
    bucket.tables.unload(f"{DAY}a.parquet")
    assert bucket.tables.load_pending() == Loaded(removed=1)  # the object is still there
    assert held(server) == []


def test_what_was_never_loaded_is_taken_out_without_a_job(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    bucket.remove("a")
    assert bucket.tables.load_pending() == Loaded(removed=1)
    assert server.begun == []
    assert bucket.state() == []


def test_an_object_that_is_gone_without_a_word_loses_its_rows(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    bucket.tables.load_pending()
    bucket.put("a", B)
    bucket.delete(f"{DAY}a.parquet")
    assert bucket.tables.load_pending() == Loaded(removed=1)
    assert held(server) == []


def test_only_the_rows_of_the_object_itself_and_its_members_go(
    bucket: Bucket, server: BigQueryServer
) -> None:
    for name, raw in (("f", "raw/uploads/f#one.csv"), ("f2", "raw/uploads/f2")):
        bucket.write(f"{DAY}{name}.parquet", parquet(raw, A))
        bucket.tables.load(f"{DAY}{name}.parquet")
    bucket.tables.load_pending()
    bucket.remove("f")
    bucket.tables.load_pending()
    assert held(server, "DISTINCT raw") == [("raw/uploads/f2",)]


def test_a_job_whose_answer_was_lost_is_found_again(bucket: Bucket, server: BigQueryServer) -> None:
    server.trouble.lost_answers = 2  # of the load and of the transaction
    bucket.put("a", A)
    assert bucket.tables.load_pending() == Loaded(objects=1, rows=2)
    assert (steps(server), server.repeats) == (["0_load", "0_replace"], 2)
    assert held(server) == rows("a", A)


def test_a_job_that_runs_is_left_to_the_next_run(bucket: Bucket, server: BigQueryServer) -> None:
    bucket.put("a", A)
    server.trouble.held = True
    told = Loading(bucket.tables.connection, bucket, FORECASTS, wait=0).run()
    assert told == Loaded(left=1)
    bucket.put("b", B)
    server.trouble.held = False
    assert bucket.tables.load_pending() == Loaded(objects=1, rows=2)  # what was under way
    assert bucket.tables.load_pending() == Loaded(objects=1, rows=1)
    assert held(server) == rows("a", A) + rows("b", B)


def test_a_newer_note_is_not_cleared_by_an_older_load(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    server.trouble.held = True
    Loading(bucket.tables.connection, bucket, FORECASTS, wait=0).run()
    bucket.put("a", B)
    server.trouble.held = False
    bucket.tables.load_pending()
    assert steps(server) == ["0_load", "0_replace", "1_load", "1_replace"]
    assert held(server) == rows("a", B)
    assert bucket.state() == []


def test_an_object_that_is_written_anew_while_it_is_loaded_leaves_no_row_behind(
    bucket: Bucket, server: BigQueryServer
) -> None:
    def object_at_last(uri: str) -> bytes:
        server.objects = bucket.object
        bucket.put("a", A, day=3)
        return bucket.object(uri)

    server.objects = object_at_last
    bucket.put("a", A)
    bucket.put("b", B, day=5)  # so days 0 to 5 are put in place
    bucket.tables.load_pending()
    bucket.put("a", B, day=7)
    bucket.tables.load_pending()
    assert held(server) == rows("a", B) + rows("b", B)


@pytest.mark.parametrize(
    "changed", [{"dataset": "d2"}, {"bucket": "b2"}, {"project": "p2"}, {"location": "US"}]
)
def test_another_data_set_or_bucket_has_jobs_of_its_own(changed: dict[str, str]) -> None:
    ours, other = Connection(settings()), Connection(replace(settings(), **changed))
    assert ours.job("1") == Connection(settings()).job("1") != other.job("1")


def test_loading_is_not_kept_from_by_the_limit_of_queries(
    bucket: Bucket, server: BigQueryServer
) -> None:
    server.bytes = settings().query_limit + 1
    for content in (A, B):
        bucket.put("a", content)
        assert bucket.tables.load_pending().objects == 1


def test_a_damaged_object_is_refused_by_its_name(bucket: Bucket) -> None:
    whole, chance = parquet("raw/x/a.pb", A * 20), random.Random(1)
    refused = 0
    for number in range(PLACES):
        damaged = bytearray(whole)
        damaged[len(whole) * number // PLACES] ^= chance.randrange(1, 256)
        bucket.write(f"{DAY}a.parquet", bytes(damaged))
        try:
            contents(bucket, f"{DAY}a.parquet", FORECASTS)
        except Unreadable:
            refused += 1
    assert refused > PLACES / 2


@pytest.mark.parametrize("day", [date(9999, 12, 31), date(1, 1, 1)], ids=str)
def test_days_that_no_table_can_have_are_refused_and_hold_up_nothing(
    bucket: Bucket, server: BigQueryServer, day: date
) -> None:
    bucket.put("far", A, day=(day - T0.date()).days)
    bucket.put("a", A)
    told = bucket.tables.load_pending()
    assert (told.objects, len(told.refused)) == (1, 1)
    assert "expected a valid_at from 1800-01-01 to 2159-12-31, got" in told.refused[0]


def test_more_than_a_load_job_takes_waits_for_the_next_run(
    bucket: Bucket, server: BigQueryServer
) -> None:
    for number in range(5):
        bucket.put(f"{number}", B)
    loader = Loading(bucket.tables.connection, bucket, FORECASTS, uris=2)
    told = [loader.run() for _ in range(4)]
    assert [(one.objects, one.left) for one in told] == [(2, 3), (2, 1), (1, 0), (0, 0)]
    assert len(held(server)) == 5


class Killed(BaseException):
    """The process ends here."""


class Mortal:
    """Counts what is called of anything; at a chosen call the process ends, before or after it."""

    def __init__(self, last: int, *, after: bool) -> None:
        self.left, self.after = last, after
        self._lock = threading.Lock()

    def call(self, do: Any, *given: Any, **named: Any) -> Any:
        with self._lock:
            self.left -= 1
            dying = self.left == 0
        if self.left < 0 or (dying and not self.after):
            raise Killed
        answer = do(*given, **named)
        if dying:
            raise Killed
        return answer


class Calls:
    """Something whose methods are called through a Mortal."""

    def __init__(self, of: Any, mortal: Mortal) -> None:
        self._of, self._mortal = of, mortal

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._of, name)
        if not callable(found):
            return found
        return lambda *given, **named: self._mortal.call(found, *given, **named)


def mortal_loading(bucket: Bucket, last: int, *, after: bool) -> Loading:
    mortal = Mortal(last, after=after)
    connection = Connection(settings())
    connection.client = Calls(bucket.tables.connection.client, mortal)  # type: ignore[assignment]
    return Loading(connection, Calls(bucket, mortal), FORECASTS)  # type: ignore[arg-type]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_call_is_mended_by_the_next_run(
    bucket: Bucket, server: BigQueryServer, after: bool
) -> None:
    """One object is new, one is replaced, one goes; a few of the calls, all of them in a
    proof."""
    new: list[tuple[str, float]] = []
    for last in range(1, 200, STEP):
        bucket.put("a", A, day=last % 2)
        bucket.put("b", A)
        bucket.tables.load_pending()
        bucket.put(f"new{last}", B)
        bucket.put("a", B, day=(last + 1) % 2)
        bucket.remove("b")
        new += rows(f"new{last}", B)
        killed = False
        try:
            mortal_loading(bucket, last, after=after).run()
        except Killed:
            killed = True
        bucket.tables.load_pending()
        bucket.tables.load_pending()  # the first one may have carried on with what was under way
        assert held(server) == sorted(rows("a", B) + new), last
        assert bucket.state() == []
        assert sorted(server.tables) == TABLES, last
        if not killed:
            break
    assert not killed
    assert last > 20


class Stalling:
    """Something that is held up at its first call of a method whose first argument begins so."""

    def __init__(self, of: Any, method: str, first: str = "") -> None:
        self.reached, self.go_on = threading.Event(), threading.Event()
        self._of, self._method, self._first = of, method, first

    def __getattr__(self, name: str) -> Any:
        return self._held_up if name == self._method else getattr(self._of, name)

    def _held_up(self, *given: Any, **named: Any) -> Any:
        if given[0].startswith(self._first):
            self.reached.set()
            assert self.go_on.wait(30)
        return getattr(self._of, self._method)(*given, **named)


@pytest.mark.parametrize(
    ("method", "first", "day"),
    [
        ("query", "", 5),
        ("write", names.LOADED, 5),
        ("write", names.LOADING, 0),
        ("delete", names.PENDING, 5),
    ],
    ids=["before its transaction", "before it keeps", "before it begins", "before it clears"],
)
def test_a_loader_that_stalls_changes_nothing_that_came_later(
    bucket: Bucket, server: BigQueryServer, method: str, first: str, day: int
) -> None:
    connection, client = Connection(settings()), bucket.tables.connection.client
    stalling = Stalling(client if method == "query" else bucket, method, first)
    connection.client = stalling if method == "query" else client  # type: ignore[assignment]
    storage: Any = bucket if method == "query" else stalling
    bucket.put("a", A)
    with ThreadPoolExecutor(1) as thread:
        stalled = thread.submit(Loading(connection, storage, FORECASTS).run)
        assert stalling.reached.wait(30)
        bucket.put("b", B)
        bucket.tables.load_pending()  # finishes what is under way
        bucket.put("a", B, day=day)
        bucket.tables.load_pending()
        assert held(server) == rows("a", B) + rows("b", B)
        stalling.go_on.set()
        stalled.result(30)
    assert held(server) == rows("a", B) + rows("b", B)
    assert bucket.state() == []
    bucket.put("a", A, day=2)
    bucket.tables.load_pending()
    assert held(server) == rows("a", A) + rows("b", B)


def test_loaders_at_once_do_the_same_thing_once(bucket: Bucket, server: BigQueryServer) -> None:
    def load(_: int) -> None:
        for _ in range(3):
            BigQueryTables(settings(), bucket).load_pending()

    with ThreadPoolExecutor(4) as threads:
        done = threads.map(load, range(4))
        for number in range(6):
            bucket.put("a", A if number % 2 else B, day=number)
            bucket.put(f"{number}", B)
        list(done)
    bucket.tables.load_pending()
    bucket.tables.load_pending()
    expected = rows("a", A) + [r for n in range(6) for r in rows(f"{n}", B)]
    assert held(server) == sorted(expected)
    assert len(server.begun) == len(set(server.begun))
    assert bucket.state() == []


def test_an_unknown_column_is_refused_by_its_name_and_the_others_are_loaded(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    table = pq.read_table(pa.BufferReader(parquet("raw/x/new.pb", B)))
    soil = table.append_column("soil_temperature", pa.array([1.0]))
    text = table.set_column(6, "period", pa.array(["0"]))
    for name, content in (("soil", written(soil)), ("text", written(text)), ("none", b"PAR?")):
        bucket.write(f"{DAY}{name}.parquet", content)
        bucket.tables.load(f"{DAY}{name}.parquet")
    told = bucket.tables.load_pending()
    assert (told.objects, told.left, len(told.refused)) == (1, 0, 3)
    none, soil_, text_ = told.refused
    assert none.startswith(f"{DAY}none.parquet: expected a Parquet file")
    assert soil_ == (
        f"{DAY}soil.parquet: column soil_temperature is not known to the table forecasts: a newer "
        "version of Skyblend wrote it, deploy that one"
    )
    assert text_ == f"{DAY}text.parquet: column period: expected INTEGER, got STRING"
    assert held(server) == rows("a", A)
    assert len(bucket.tables.load_pending().refused) == 3  # it stays noted


def test_a_column_that_the_table_lacks_is_added_before_a_load(
    bucket: Bucket, server: BigQueryServer
) -> None:
    connection = bucket.tables.connection
    older = schema.Kind("forecasts", FORECASTS.prefix, FORECASTS.shape, FORECASTS.schema.remove(20))
    tables.prepare(connection, older)
    assert "wind_gusts_10m" not in str(server.tables["forecasts"])
    bucket.put("a", A)
    bucket.tables.load_pending()
    assert "wind_gusts_10m" in str(server.tables["forecasts"])
    assert held(server) == rows("a", A)


def test_a_table_of_a_newer_version_is_loaded_and_keeps_its_column(
    bucket: Bucket, server: BigQueryServer
) -> None:
    newer = FORECASTS.schema.append(pa.field("soil_temperature", pa.float64()))
    kind = schema.Kind("forecasts", FORECASTS.prefix, FORECASTS.shape, newer)
    tables.prepare(bucket.tables.connection, kind)
    bucket.put("a", A)
    bucket.tables.load_pending()
    found = server.rows("forecasts", "temperature_2m, soil_temperature")
    assert found == [(value, None) for value in A]


def test_a_query_above_the_limit_is_refused_with_its_bytes(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    bucket.tables.load_pending()
    capped = BigQueryTables(settings(query_limit=1 << 20), bucket)
    server.bytes = 10 << 20
    expected = "would bill 10485760 bytes for this query, more than SKYBLEND_QUERY_LIMIT=1048576"
    with closing(capped.connection.client), pytest.raises(TablesError, match=expected):
        capped.forecasts(Query())


def test_a_dry_run_tells_the_bytes_and_begins_no_job(
    bucket: Bucket, server: BigQueryServer
) -> None:
    assert bucket.tables.forecasts_bytes(Query()) == 0  # there is no table yet
    bucket.put("a", A)
    bucket.tables.load_pending()
    server.bytes = 12345
    assert bucket.tables.forecasts_bytes(Query()) == 12345
    assert bucket.tables.observations_bytes(Query()) == 0
    assert len(server.begun) == 2


def test_what_was_loaded_is_kept_as_days_and_raw_objects(
    bucket: Bucket, server: BigQueryServer
) -> None:
    bucket.put("a", A)
    bucket.tables.load_pending()
    kept = json.loads(bucket.read(names.loaded(f"{DAY}a.parquet")).data)
    assert kept == {"first": "2026-11-20", "last": "2026-11-20", "raws": ["raw/x/a.pb"]}


def test_a_bigquery_that_does_not_answer_is_told_in_one_line(
    bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", "http://127.0.0.1:9")
    unreachable = BigQueryTables(settings(), bucket)
    with closing(unreachable.connection.client), pytest.raises(TablesError) as caught:
        unreachable.forecasts(Query())
    assert str(caught.value).startswith("BigQuery, looking for the table forecasts: ")
    assert "\n" not in str(caught.value)
