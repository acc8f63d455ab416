"""What every implementation of the tables does: versions, the current view, as of a time."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count, permutations
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import Storage
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.storage.memory import MemoryStorage
from skyblend.runtime.tables import Query, Tables, View, columns
from skyblend.runtime.tables.bigquery import BigQueryTables
from skyblend.runtime.tables.duck import DuckTables
from skyblend.runtime.tables.memory import MemoryTables

T0 = datetime(2026, 11, 20, tzinfo=UTC)
TEMPERATURE = ("temperature_2m",)
VERSIONS = View.VERSIONS
PROVE = bool(os.environ.get("SKYBLEND_PROVE"))
Row = dict[str, Any]


def at(hours: float) -> datetime:
    return T0 + timedelta(hours=hours)


def forecast(known: float = 0, raw: str = "raw/x/a.pb", **values: Any) -> Row:
    """A row of one key, known at hour `known`; values and key columns as given."""
    row: Row = {
        "source": "x", "model": "m", "member": "", "place_id": "P", "issued_at": T0,
        "valid_at": at(24), "period": 0, "known_at": at(known), "received_at": at(known),
        "latitude": 48.1, "longitude": 11.6, "raw": raw, "flags": [],
    }  # fmt: skip
    return row | values


def observation(known: float = 0, raw: str = "raw/x/a.pb", **values: Any) -> Row:
    row: Row = {
        "source": "x", "place_id": "P", "observed_at": T0, "period": 0, "known_at": at(known),
        "received_at": at(known), "raw": raw, "flags": [], "kind": "station",
    }  # fmt: skip
    return row | values


class Filled(Protocol):
    """Tables that record files can be put into and taken from."""

    tables: Tables

    def put(self, forecasts: Iterable[Row] = (), observations: Iterable[Row] = ()) -> str: ...

    def remove(self, name: str) -> None: ...


class FilledFolder:
    """Record objects, told to the tables as they come and go."""

    def __init__(self, storage: Storage, tables: Tables) -> None:
        self.storage = storage
        self.tables = tables
        self.numbers = count()

    def put(self, forecasts: Iterable[Row] = (), observations: Iterable[Row] = ()) -> str:
        name = ""
        for kind, rows, schema in (
            ("forecasts", list(forecasts), columns.forecasts()),
            ("observations", list(observations), columns.observations()),
        ):
            if rows:
                name = f"records/{kind}/2026-11-20/{next(self.numbers)}.parquet"
                sink = pa.BufferOutputStream()
                pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
                self.storage.write(name, sink.getvalue().to_pybytes())
                self.tables.load(name)
        self.tables.load_pending()
        return name

    def remove(self, name: str) -> None:
        self.tables.unload(name)
        self.storage.delete(name)
        self.tables.load_pending()


def filled_duck(root: Path) -> FilledFolder:
    storage = FolderStorage(root)
    return FilledFolder(storage, DuckTables(storage, memory="256MB", threads=1))


@pytest.fixture(scope="module")
def duck(tmp_path_factory: pytest.TempPathFactory) -> FilledFolder:
    """One database for all examples of a test, which take their files away again: see `emptied`."""
    return filled_duck(tmp_path_factory.mktemp("examples"))


def emptied(filled: FilledFolder) -> FilledFolder:
    for listed in list(filled.storage.list("records/")):
        filled.storage.delete(listed.name)
    return filled


def filled_memory() -> FilledFolder:
    storage = MemoryStorage()
    return FilledFolder(storage, MemoryTables(storage))


def filled_bigquery(address: str, buckets: Path) -> FilledFolder:
    """A data set and a bucket of their own, which the emulator reads as a folder."""
    name = f"b{uuid4().hex[:12]}"
    environ = {
        "STORAGE": "gcs", "TABLES": "bigquery", "AUTH": "none", "PROJECT": "p",
        "BUCKET": name, "DATASET": name,
    }  # fmt: skip
    settings = Settings.read(
        {f"SKYBLEND_{key}": value for key, value in environ.items()}, serves=False
    )
    storage = FolderStorage(buckets / name)
    tables = BigQueryTables(settings, storage)
    assert tables.connection.emulator == address
    tables.connection.client.create_dataset(name)
    return FilledFolder(storage, tables)


@pytest.fixture(params=["bigquery", "duck", "memory"])
def filled(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Filled]:
    if request.param != "bigquery":
        yield filled_duck(tmp_path) if request.param == "duck" else filled_memory()
        return
    emulator = request.getfixturevalue("bigquery_emulator")
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", emulator.address)
    made = filled_bigquery(emulator.address, emulator.buckets)
    yield made
    assert isinstance(made.tables, BigQueryTables)
    made.tables.connection.client.close()


def rows(table: pa.Table, *chosen: str) -> list[Any]:
    """The rows in order of known_at: one column's values, or tuples of several."""
    found = sorted(table.to_pylist(), key=lambda row: (row["known_at"], row["raw"]))
    return [tuple(row[c] for c in chosen) if len(chosen) > 1 else row[chosen[0]] for row in found]


def test_without_records_the_answer_is_empty_and_typed(filled: Filled) -> None:
    table = filled.tables.forecasts(Query(variables=TEMPERATURE))
    assert table.num_rows == 0
    assert filled.tables.count_observations(Query()) == 0
    assert table.schema.field("issued_at").type == pa.timestamp("us", tz="UTC")
    assert table.schema.field("period").type == pa.int32()
    assert table.schema.field("temperature_2m").type == pa.float64()
    assert filled.tables.observations(Query()).schema.names[-18:] == list(columns.VARIABLES)


def test_a_row_comes_back_as_it_was_written(filled: Filled) -> None:
    flags = [{"variable": "temperature_2m", "check": "range", "reason": "expected < 60, got 71.5"}]
    row = forecast(1, temperature_2m=71.5, elevation=519.0, flags=flags)
    filled.put([row])
    (found,) = filled.tables.forecasts(Query(variables=TEMPERATURE)).to_pylist()
    assert found == row
    filled.put(observations=[observation(1, temperature_2m=2.5, kind="analysis")])
    (seen,) = filled.tables.observations(Query()).to_pylist()
    assert seen["kind"] == "analysis"
    assert seen["temperature_2m"] == 2.5
    assert seen["dew_point_2m"] is None


def test_the_same_value_known_later_adds_nothing(filled: Filled) -> None:
    filled.put([forecast(1, temperature_2m=5.0)])
    filled.put([forecast(2, "raw/x/b.pb", temperature_2m=5.0)])
    table = filled.tables.forecasts(Query(variables=TEMPERATURE, view=VERSIONS))
    assert rows(table, "known_at", "raw") == [(at(1), "raw/x/a.pb")]
    assert rows(filled.tables.forecasts(Query(variables=TEMPERATURE)), "known_at") == [at(1)]


def test_a_then_b_then_a_are_three_versions(filled: Filled) -> None:
    for known, value in ((1, 5.0), (2, 6.0), (3, 5.0)):
        filled.put([forecast(known, f"raw/x/{known}.pb", temperature_2m=value)])
    table = filled.tables.forecasts(Query(variables=TEMPERATURE, view=VERSIONS))
    assert rows(table, "temperature_2m") == [5.0, 6.0, 5.0]
    assert rows(filled.tables.forecasts(Query()), "temperature_2m", "known_at") == [(5.0, at(3))]


def test_a_missing_value_erases_none_and_makes_no_version(filled: Filled) -> None:
    filled.put([forecast(1, temperature_2m=5.0, dew_point_2m=1.0)])
    filled.put([forecast(2, "raw/x/b.pb", dew_point_2m=2.0)])
    filled.put([forecast(3, "raw/x/c.pb")])
    current = filled.tables.forecasts(Query())
    assert rows(current, "temperature_2m", "dew_point_2m", "known_at") == [(5.0, 2.0, at(2))]
    versions = filled.tables.forecasts(Query(view=VERSIONS))
    assert rows(versions, "temperature_2m", "dew_point_2m") == [(5.0, 1.0), (None, 2.0)]
    only = filled.tables.forecasts(Query(variables=TEMPERATURE, view=VERSIONS))
    assert rows(only, "known_at") == [at(1)]


def test_a_flag_stays_with_its_value_when_another_value_is_newer(filled: Filled) -> None:
    hot = {"variable": "temperature_2m", "check": "range", "reason": "expected < 60, got 99"}
    wet = {"variable": "dew_point_2m", "check": "range", "reason": "expected < 40, got 50"}
    filled.put([forecast(1, temperature_2m=99.0, dew_point_2m=50.0, flags=[hot, wet])])
    filled.put([forecast(2, "raw/x/b.pb", dew_point_2m=1.0)])
    assert rows(filled.tables.forecasts(Query()), "flags") == [[hot]]
    filled.put([forecast(3, "raw/x/c.pb", temperature_2m=9.0)])
    assert rows(filled.tables.forecasts(Query()), "flags") == [[]]


def test_as_of_a_time_nothing_later_is_seen(filled: Filled) -> None:
    filled.put([forecast(1, temperature_2m=5.0), forecast(9, temperature_2m=9.0, place_id="Q")])
    filled.put([forecast(3, "raw/x/b.pb", temperature_2m=6.0)])
    for hours, expected in ((0.9, []), (1, [5.0]), (2.9, [5.0]), (3, [6.0]), (99, [6.0, 9.0])):
        table = filled.tables.forecasts(Query(variables=TEMPERATURE, as_of=at(hours)))
        assert rows(table, "temperature_2m") == expected


def test_every_part_of_the_key_makes_another_key(filled: Filled) -> None:
    first = forecast(1, temperature_2m=5.0)
    others = {
        "source": "y", "model": "", "member": "3", "place_id": "Q", "issued_at": at(-6),
        "valid_at": at(25), "period": 3600,
    }  # fmt: skip
    filled.put([first, *(first | {name: value} for name, value in others.items())])
    assert filled.tables.forecasts(Query()).num_rows == 1 + len(others) == 8
    assert set(others) == set(columns.FORECAST_KEY)


def test_filters(filled: Filled) -> None:
    filled.put(
        [
            forecast(1, temperature_2m=1.0),
            forecast(2, temperature_2m=2.0, source="y"),
            forecast(3, temperature_2m=3.0, place_id="Zürich'; --"),
            forecast(4, temperature_2m_max=4.0, period=86400, valid_at=at(48)),
            forecast(5, temperature_2m=5.0, valid_at=at(23)),
        ]
    )

    def known(**asked: Any) -> list[datetime]:
        query = Query(**{"variables": ("temperature_2m", "temperature_2m_max")} | asked)
        return rows(filled.tables.forecasts(query), "known_at")

    assert rows(filled.tables.forecasts(Query()), "known_at") == known()
    assert known() == [at(1), at(2), at(3), at(4), at(5)]
    assert known(sources=("y",)) == [at(2)]
    assert known(sources=("x", "y"), places=("Zürich'; --", "Q")) == [at(3)]
    assert known(periods=(86400,)) == [at(4)]
    assert known(variables=("temperature_2m_max",)) == [at(4)]
    assert known(valid_from=at(24), valid_to=at(48)) == [at(1), at(2), at(3)]
    assert known(valid_from=at(48)) == [at(4)]
    assert known(valid_to=at(24)) == [at(5)]


def test_an_unknown_variable_is_refused(filled: Filled) -> None:
    with pytest.raises(ValueError, match=r"expected variables among temperature_2m, .* got"):
        filled.tables.forecasts(Query(variables=("temperature_2m; DROP TABLE x",)))


def test_a_raw_objects_rows_are_the_versions_that_it_added(filled: Filled) -> None:
    filled.put([forecast(1, temperature_2m=5.0)])
    filled.put(
        [
            forecast(2, "raw/uploads/f#one.csv", temperature_2m=5.0),  # known before: no version
            forecast(2, "raw/uploads/f#two.csv", temperature_2m=7.0, valid_at=at(25)),
            forecast(2, "raw/uploads/f2", temperature_2m=8.0, valid_at=at(26)),  # another object
        ]
    )

    def of(raw: str, view: View) -> list[float]:
        query = Query(variables=TEMPERATURE, view=view, raw=raw)
        assert filled.tables.count_forecasts(query) == filled.tables.forecasts(query).num_rows
        return rows(filled.tables.forecasts(query), "temperature_2m")

    assert of("raw/uploads/f", VERSIONS) == [7.0]
    assert of("raw/x/a.pb", VERSIONS) == [5.0]
    assert of("raw/uploads/f", View.CURRENT) == [7.0]
    assert of("raw/other", VERSIONS) == []


def test_a_late_file_with_an_early_time_makes_the_next_row_no_version(filled: Filled) -> None:
    filled.put([forecast(5, "raw/x/b.pb", temperature_2m=5.0)])
    query = Query(variables=TEMPERATURE, view=VERSIONS)
    assert rows(filled.tables.forecasts(query), "raw") == ["raw/x/b.pb"]
    filled.put([forecast(1, temperature_2m=5.0)])
    assert rows(filled.tables.forecasts(query), "raw") == ["raw/x/a.pb"]


def test_what_is_removed_is_read_no_more_and_what_is_replaced_is_read_anew(filled: Filled) -> None:
    filled.put([forecast(1, temperature_2m=5.0)])
    name = filled.put([forecast(2, "raw/x/b.pb", temperature_2m=6.0)])
    assert rows(filled.tables.forecasts(Query()), "temperature_2m") == [6.0]
    filled.remove(name)
    assert rows(filled.tables.forecasts(Query()), "temperature_2m") == [5.0]


def test_a_file_that_is_replaced_again_and_again_is_never_read_stale(tmp_path: Path) -> None:
    filled = filled_duck(tmp_path)
    for number in range(200 if PROVE else 10):
        filled.numbers = count()
        stored = [forecast(1, f"raw/{i}", temperature_2m=number, place_id=f"{i}") for i in range(9)]
        filled.put(stored[: 1 + number % 9])
        table = filled.tables.forecasts(Query(variables=TEMPERATURE))
        assert rows(table, "temperature_2m") == [float(number)] * (1 + number % 9)


def test_rows_that_are_there_twice_count_once(filled: Filled) -> None:
    row = forecast(1, temperature_2m=5.0, dew_point_2m=1.0)
    filled.put([row])
    filled.put([row])
    assert (
        filled.tables.forecasts(Query()).to_pylist()[0] | row
        == (filled.tables.forecasts(Query()).to_pylist()[0])
    )
    assert filled.tables.forecasts(Query(view=VERSIONS)).num_rows == 1


VALUES = st.sampled_from([None, 1.0, 2.0])
HISTORY = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 2), VALUES, VALUES), min_size=1, max_size=5
)


@settings(max_examples=200 if PROVE else 8, deadline=None)
@given(history=HISTORY, data=st.data())
def test_the_order_of_arrival_changes_nothing(
    duck: FilledFolder, history: list[Any], data: st.DataObject
) -> None:
    """Any order of files gives what a plain reading of the definition gives."""
    stored = [
        observation(known, f"raw/{number}", received_at=at(received), temperature_2m=t,
                    dew_point_2m=d)
        for number, (known, received, t, d) in enumerate(history)
    ]  # fmt: skip
    filled, told = emptied(duck), ("temperature_2m", "dew_point_2m")
    for row in data.draw(st.permutations(stored)):
        filled.put(observations=[row])
    for as_of in (None, at(1)):
        versions, current = by_definition(stored, as_of)
        table = filled.tables.observations(Query(variables=told, view=VERSIONS, as_of=as_of))
        found = sorted(table.to_pylist(), key=lambda r: (r["known_at"], r["received_at"], r["raw"]))
        assert [row["raw"] for row in found] == versions
        latest = filled.tables.observations(Query(variables=told, as_of=as_of)).to_pylist()
        assert [(r["temperature_2m"], r["dew_point_2m"], r["raw"]) for r in latest] == current


def by_definition(stored: list[Row], as_of: datetime | None) -> tuple[list[str], list[Any]]:
    """Raw objects of the versions in order, and the current row, of one key."""
    last: dict[str, float] = {}
    versions = []
    for row in sorted(stored, key=lambda r: (r["known_at"], r["received_at"], r["raw"])):
        if as_of is not None and row["known_at"] > as_of:
            continue
        told = {v: row[v] for v in ("temperature_2m", "dew_point_2m") if row[v] is not None}
        if any(last.get(name) != value for name, value in told.items()):
            versions.append(row["raw"])
        last |= told
    if not versions:
        return [], []
    return versions, [(last.get("temperature_2m"), last.get("dew_point_2m"), versions[-1])]


PARTS = {
    "source": st.sampled_from(["x", "y"]),
    "period": st.sampled_from([0, 3600]),
    "valid_at": st.sampled_from([at(24), at(25)]),
}
TOLD = {
    "known": st.integers(0, 3),
    "raw": st.sampled_from(["raw/a", "raw/b#1", "raw/b#2", "raw/c"]),
    "temperature_2m": VALUES,
    "dew_point_2m": VALUES,
    "flags": st.lists(
        st.builds(
            dict,
            variable=st.sampled_from(["temperature_2m", "dew_point_2m"]),
            check=st.just("range"),
            reason=st.just("r"),
        ),
        max_size=1,
    ),
}
ASKED = st.builds(
    Query,
    variables=st.sampled_from([(), TEMPERATURE, ("dew_point_2m", "temperature_2m")]),
    view=st.sampled_from(View),
    as_of=st.sampled_from([None, at(1)]),
    sources=st.sampled_from([(), ("y",), ("x", "y")]),
    periods=st.sampled_from([(), (0,)]),
    valid_from=st.sampled_from([None, at(25)]),
    valid_to=st.sampled_from([None, at(25)]),
    raw=st.sampled_from(["", "raw/b", "raw/c"]),
)


@settings(max_examples=300 if PROVE else 8, deadline=None)
@given(
    stored=st.lists(st.fixed_dictionaries(PARTS | TOLD), max_size=9),
    queries=st.lists(ASKED, min_size=1, max_size=4),
)
def test_duckdb_answers_what_the_definition_says(
    duck: FilledFolder, stored: list[Row], queries: list[Query]
) -> None:
    memory = filled_memory()
    emptied(duck)
    for row in stored:
        for filled in (duck, memory):
            filled.put([forecast(**row)])
    for query in queries:
        ours = duck.tables.forecasts(query)
        expected = memory.tables.forecasts(query)
        assert ours.schema == expected.schema
        assert sorted(map(str, ours.to_pylist())) == sorted(map(str, expected.to_pylist()))


def test_every_order_of_three_files(duck: FilledFolder) -> None:
    stored = [forecast(k, f"raw/{k}", temperature_2m=v) for k, v in ((1, 5.0), (2, 6.0), (3, 5.0))]
    answers = []
    for order in permutations(stored):
        filled = emptied(duck)
        for row in order:
            filled.put([row])
        query = Query(variables=TEMPERATURE, view=VERSIONS)
        answers.append(rows(filled.tables.forecasts(query), "raw"))
    assert answers == [["raw/1", "raw/2", "raw/3"]] * 6


def test_only_runs_of_the_hours_that_are_asked_for(filled: Filled) -> None:
    """A run belongs to the hour that it was issued in; its versions stay together."""
    for known, hours, value in (
        (1, 0, 1.0),
        (2, 6.99, 2.0),
        (3, 7, 3.0),
        (4, -6, 4.0),
        (5, 0, 5.0),
    ):
        row = forecast(known, f"raw/x/{known}.pb", issued_at=at(hours), temperature_2m=value)
        filled.put([row])
    filled.put(observations=[observation(1, temperature_2m=9.0, observed_at=at(3))])

    def told(*hours: int, **asked: Any) -> list[float]:
        query = Query(variables=TEMPERATURE, view=VERSIONS, issue_hours=hours, **asked)
        assert filled.tables.count_forecasts(query) == filled.tables.forecasts(query).num_rows
        return rows(filled.tables.forecasts(query), "temperature_2m")

    assert told() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert told(0) == [1.0, 5.0]
    assert told(6) == [2.0]
    assert told(18, 7) == [3.0, 4.0]  # six hours before midnight is 18 h
    assert told(0, 6, as_of=at(2)) == [1.0, 2.0]
    assert told(1) == []
    observed = filled.tables.observations(Query(variables=TEMPERATURE, issue_hours=(0,)))
    assert rows(observed, "temperature_2m") == [9.0]  # nobody issues an observation


@pytest.mark.parametrize("hours", [(), (0, 6, 12, 18), (0,)], ids=str)
@pytest.mark.parametrize("view", list(View))
def test_a_bare_answer_is_the_same_without_members_raw_and_position(
    filled: Filled, hours: tuple[int, ...], view: View
) -> None:
    """Ties, late words, missing values, flags and extremes; members of one upload have one time."""
    flags = [{"variable": "temperature_2m", "check": "range", "reason": "expected < 60, got 71.5"}]
    tied = [
        (f"raw/uploads/f#{name}", value) for name, value in zip("bca", (2.0, 1.0, 1.0), strict=True)
    ]
    filled.put([forecast(3, raw, temperature_2m=value) for raw, value in tied])
    filled.put([forecast(1, temperature_2m=1.0), forecast(1, member="1", temperature_2m=7.0)])
    filled.put([forecast(2, "raw/x/b.pb", dew_point_2m=5.0)])
    filled.put(
        [
            forecast(4, "raw/x/c.pb", temperature_2m=71.5, flags=flags),
            forecast(4, "raw/x/c.pb", received_at=at(9), temperature_2m=8.0, valid_at=at(25)),
            forecast(4, "raw/x/c.pb", temperature_2m=3.0, issued_at=at(-5)),
            forecast(4, "raw/x/c.pb", temperature_2m_max=9.0, period=86400, source="y"),
        ]
    )
    for variable, fewest in (("temperature_2m", 2), ("temperature_2m_max", 1)):
        for as_of in (None, at(3)):
            query = Query(variables=(variable,), view=view, issue_hours=hours, as_of=as_of)
            whole = filled.tables.forecasts(query)
            bare = filled.tables.forecasts(replace(query, bare=True))
            assert bare.schema.equals(whole.schema)
            if isinstance(filled.tables, BigQueryTables):
                few = filled.tables.table_of(replace(query, bare=True)).name
                assert few == ("training_forecasts" if hours else "forecasts")
            expected = [
                row | dict.fromkeys(("raw", "latitude", "longitude", "elevation"))
                for row in whole.to_pylist()
                if not row["member"]
            ]
            assert sorted(bare.to_pylist(), key=str) == sorted(expected, key=str)
            assert as_of or bare.num_rows >= fewest
