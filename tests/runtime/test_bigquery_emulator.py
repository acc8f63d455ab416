"""DuckDB and BigQuery give the same answers from the same records, by the emulator where it is:
every view and filter, and what training and export make of them."""

import io
import random
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any
from uuid import uuid4

import pyarrow as pa
import pytest
from skyblend.cli.tidy import rows as tidy
from skyblend.ingest import uploads
from skyblend.predict.train.history import Extent, histories, latest_as_of
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime.access import OpenAccess
from skyblend.runtime.bus.sqlite import SqliteBus
from skyblend.runtime.place import Runtime
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.tables import Query, View
from skyblend.runtime.tables.bigquery import BigQueryTables

T0 = datetime(2026, 11, 1, tzinfo=UTC)
VARIABLES = ("temperature_2m", "dew_point_2m", "temperature_2m_max")


class Elsewhere:
    """A folder as a bucket of the cloud, which no DuckDB reads."""

    def __init__(self, folder: FolderStorage) -> None:
        self._folder = folder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._folder, name)


@pytest.fixture
def both(
    bigquery_emulator: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Runtime, Runtime]]:
    """A runtime of one machine and one of the cloud, with nothing in them."""
    monkeypatch.setenv("BIGQUERY_EMULATOR_HOST", bigquery_emulator.address)
    name = f"b{uuid4().hex[:12]}"
    here = Settings(data=tmp_path)
    there = replace(
        here, storage="gcs", tables="bigquery", auth="none", project="p", bucket=name, dataset=name
    )
    bucket = Elsewhere(FolderStorage(bigquery_emulator.buckets / name))
    made = [
        Runtime(settings=s, storage=storage, bus=SqliteBus(tmp_path / bus), access=OpenAccess())
        for s, storage, bus in (
            (here, FolderStorage(tmp_path / "bucket"), "here"),
            (there, bucket, "there"),
        )
    ]  # fmt: skip
    tables = made[1].tables
    assert isinstance(tables, BigQueryTables)
    tables.connection.client.create_dataset(name)
    yield made[0], made[1]
    tables.connection.client.close()


def csv(kind: str, *, seed: int, day: int) -> str:
    """A tidy file: two sources, three places, values that repeat, are missing, or cannot be."""
    chance = random.Random(seed)
    key = "source,place_id,latitude,longitude,elevation"
    times = "issued_at,valid_at" if kind == "forecasts" else "observed_at"
    lines = [f"{key},{times},period,known_at,{','.join(VARIABLES)}"]
    issued = T0 + timedelta(days=day)
    for source, place, hour in product("ab", "PQR", range(0, 48, 6)):
        valid = issued + timedelta(hours=hour)
        known = (issued if kind == "forecasts" else valid) + timedelta(hours=chance.choice((1, 2)))
        told = [issued, valid] if kind == "forecasts" else [valid]
        values = [chance.choice(("", "4.5", "5.25", "99.5")) for _ in VARIABLES[:2]]
        for period, given in ((0, [*values, ""]), (86400, ["", "", "7.5"])):
            cells = [source, place, "48.1", "11.6", "519", *(t.isoformat() for t in told)]
            lines.append(",".join([*cells, str(period), known.isoformat(), *given]))
    return "\n".join(lines) + "\n"


def take_in(runtime: Runtime, text: str, *, now: datetime, force: bool = False) -> None:
    stored = uploads.store(
        runtime, io.BytesIO(text.encode()), file_name="f.csv", source="", now=now
    )
    process(runtime, RawStored(object=stored.object), now=now, force=force)


def fill(runtime: Runtime) -> None:
    """The same days again and again with other values, over several loads; one file is replayed."""
    now = T0 + timedelta(days=10)
    for seed in range(4):
        take_in(runtime, csv("forecasts", seed=seed, day=seed // 2), now=now)
        take_in(runtime, csv("observations", seed=seed, day=seed), now=now)
        runtime.tables.load_pending()
    take_in(runtime, csv("forecasts", seed=0, day=0), now=now, force=True)
    runtime.tables.load_pending()


def queries(raw: str) -> Iterator[Query]:
    """Each view with one variable and two, unfiltered and filtered; all variables once."""
    filtered = Query(
        sources=("a",), places=("P", "R"), periods=(0,),
        valid_from=T0 + timedelta(hours=6), valid_to=T0 + timedelta(hours=30),
    )  # fmt: skip
    yield Query()
    for view, variables in product(View, (VARIABLES[:1], VARIABLES[:2])):
        asked = Query(view=view, variables=variables)
        yield replace(asked, raw=raw)
        yield replace(asked, as_of=T0 + timedelta(days=1))
        yield replace(filtered, view=view, variables=variables)


def in_order(table: pa.Table) -> pa.Table:
    keys = [name for name in table.column_names if name not in ("flags",)]
    return table.sort_by([(name, "ascending") for name in keys])


def test_every_view_and_filter_gives_the_same_rows(both: tuple[Runtime, Runtime]) -> None:
    for runtime in both:
        fill(runtime)
    here, there = (runtime.tables for runtime in both)
    raw = here.forecasts(Query(view=View.VERSIONS)).column("raw")[0].as_py().partition("#")[0]
    sizes = set()
    for query in queries(raw):
        for ours, theirs in (
            (here.forecasts, there.forecasts),
            (here.observations, there.observations),
        ):
            expected, found = in_order(ours(query)), in_order(theirs(query))
            assert found.schema.equals(expected.schema), query
            assert found.to_pylist() == expected.to_pylist(), query
            sizes.add(expected.num_rows)
    assert here.count_forecasts(query) == there.count_forecasts(query) > 0
    assert max(sizes) > 200
    flagged = here.forecasts(Query()).column("flags").to_pylist()
    assert any(flagged)


def test_training_and_export_read_the_same(both: tuple[Runtime, Runtime]) -> None:
    for runtime in both:
        fill(runtime)
    told = []
    for runtime in both:
        at = T0 + timedelta(days=2)
        found = histories(runtime.tables, ("temperature_2m",), as_of=at, places={})
        exported = [
            pa.concat_tables(tidy(runtime, kind, current=current)).to_pylist()
            for kind, current in product(("forecasts", "observations"), (True, False))
        ]
        latest = latest_as_of(runtime.tables, "P", T0 + timedelta(hours=3))
        told.append((found, exported, latest))
    (ours, exported, latest), (theirs, exported_there, latest_there) = told
    assert exported == exported_there
    assert len(exported[0]) > 100
    assert latest == latest_there
    assert latest.runs
    assert [one.series for one in ours] == [one.series for one in theirs]
    for mine, other in zip(ours, theirs, strict=True):
        assert (mine.places, mine.forecasters) == (other.places, other.forecasters)
        assert lines(mine.forecasts) == lines(other.forecasts)
        assert lines(mine.observations) == lines(other.observations)
        assert len(lines(mine.forecasts)) > 20


def test_a_training_of_few_runs_reads_the_same_from_its_own_table(
    both: tuple[Runtime, Runtime],
) -> None:
    """Many rows are tied here: all uploads were received at one moment."""
    for runtime in both:
        fill(runtime)
        runtime.tables.load_pending()
    here, there = (runtime.tables for runtime in both)
    assert isinstance(there, BigQueryTables)
    for variable, view in product(("temperature_2m", "temperature_2m_max"), View):
        query = Query(variables=(variable,), view=view, issue_hours=(0, 6), bare=True)
        assert there.table_of(query).name == "training_forecasts"
        expected = in_order(here.forecasts(query))
        assert in_order(there.forecasts(query)).to_pylist() == expected.to_pylist()
        assert expected.num_rows > 50 or variable != "temperature_2m"
        # No less than what the large table gives, bare or not.
        whole = replace(query, issue_hours=())
        assert there.table_of(whole).name == "forecasts"
        assert in_order(there.forecasts(whole)).to_pylist() == expected.to_pylist()
    at, extent = T0 + timedelta(days=2), Extent(since=T0, hours=(0, 12))
    ours, theirs = (
        histories(tables, ("temperature_2m",), as_of=at, places={}, extent=extent)[0]
        for tables in (here, there)
    )
    assert lines(ours.forecasts) == lines(theirs.forecasts)
    assert len(lines(ours.forecasts)) > 20


def lines(columns: Any) -> list[Any]:
    """The rows of a history's columns, in order."""
    found = zip(*(getattr(columns, one.name).tolist() for one in fields(columns)), strict=True)
    return sorted(found)


def test_the_views_of_the_data_set_answer_like_the_queries(both: tuple[Runtime, Runtime]) -> None:
    _, there = both
    tables = there.tables
    assert isinstance(tables, BigQueryTables)
    now = T0 + timedelta(days=10)
    for seed in range(2):
        take_in(there, csv("forecasts", seed=seed, day=0), now=now)
    tables.load_pending()
    tables.make_views()
    tables.make_views()
    moment, since = T0 + timedelta(hours=1), T0 + timedelta(hours=12)
    data_set = f"p.{there.settings.dataset}"
    chosen = "SELECT raw, place_id, valid_at, period, temperature_2m FROM"
    for text, query in (
        (f"{chosen} `{data_set}.forecasts_current` WHERE valid_at >= @since", Query()),
        (f"{chosen} `{data_set}.forecasts_as_of`(@moment, @since)", Query(as_of=moment)),
    ):
        given = {"since": since} if query.as_of is None else {"since": since, "moment": moment}
        found = tables.connection.rows(text, given)
        expected = tables.forecasts(replace(query, valid_from=since)).select(found.column_names)
        assert in_order(found).to_pylist() == in_order(expected).to_pylist()
        assert found.num_rows > 20


def test_a_dry_run_costs_nothing_and_gives_bytes(both: tuple[Runtime, Runtime]) -> None:
    _, there = both
    assert isinstance(there.tables, BigQueryTables)
    fill(there)
    assert there.tables.forecasts_bytes(Query()) >= 0
