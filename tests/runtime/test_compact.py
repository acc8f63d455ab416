"""Compaction: one file in place of many, the same answers, and nothing lost on the way."""

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from skyblend.runtime import names
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.tables import Query, View, columns
from skyblend.runtime.tables.compact import MERGED, compact, supersede
from skyblend.runtime.tables.duck import DuckTables

DAY = date(2026, 11, 20)
T0 = datetime(2026, 11, 20, tzinfo=UTC)


def parquet(rows: list[dict[str, Any]], schema: pa.Schema) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue().to_pybytes()


def row(raw: str, hour: int, value: float) -> dict[str, Any]:
    at = T0 + timedelta(hours=hour)
    return {
        "source": "x", "model": "m", "member": "", "place_id": "P", "issued_at": T0,
        "valid_at": T0 + timedelta(days=1), "period": 0, "known_at": at, "received_at": at,
        "raw": raw, "flags": [], "temperature_2m": value,
    }  # fmt: skip


def put(storage: FolderStorage, raw: str, *rows: dict[str, Any]) -> str:
    name = names.forecasts(raw, DAY)
    storage.write(name, parquet(list(rows), columns.forecasts()))
    return name


def files(storage: FolderStorage) -> list[str]:
    return [listed.name.rpartition("/")[2] for listed in storage.list("records/")]


def versions(storage: FolderStorage) -> list[tuple[str, float]]:
    table = DuckTables(storage).forecasts(Query(variables=("temperature_2m",), view=View.VERSIONS))
    return sorted((r["raw"], r["temperature_2m"]) for r in table.to_pylist())


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    storage = FolderStorage(tmp_path)
    for hour in range(5):
        put(storage, f"raw/x/{hour}.pb", row(f"raw/x/{hour}.pb", hour, float(hour)))
    upload = "raw/uploads/f"
    put(storage, upload, row(f"{upload}#a.csv", 6, 6.0), row(f"{upload}#b.csv", 7, 7.0))
    return storage


def test_the_files_of_a_day_become_one_with_the_same_rows(storage: FolderStorage) -> None:
    before = versions(storage)
    assert len(before) == 7
    assert compact(storage, DAY) == 6
    (merged,) = files(storage)
    assert merged.startswith(MERGED)
    assert versions(storage) == before


def test_a_second_compaction_changes_nothing(storage: FolderStorage) -> None:
    compact(storage, DAY)
    before = list(storage.list("records/"))
    assert compact(storage, DAY) == 0
    assert list(storage.list("records/")) == before


def test_other_days_and_few_files_stay(storage: FolderStorage) -> None:
    before = files(storage)
    assert compact(storage, date(2026, 11, 19)) == 0
    assert compact(storage, DAY, fewest=7) == 0
    assert files(storage) == before


def test_a_late_file_joins_the_merged_one(storage: FolderStorage) -> None:
    compact(storage, DAY)
    put(storage, "raw/x/9.pb", row("raw/x/9.pb", 9, 9.0))
    before = versions(storage)
    assert compact(storage, DAY) == 2
    assert len(files(storage)) == 1
    assert versions(storage) == before


def test_columns_that_an_older_version_lacked_are_empty(storage: FolderStorage) -> None:
    schema = columns.forecasts()
    old = pa.schema([field for field in schema if field.name not in ("snowfall", "elevation")])
    name = names.forecasts("raw/x/old.pb", DAY)
    storage.write(name, parquet([row("raw/x/old.pb", 8, 8.0)], old))
    compact(storage, DAY)
    assert ("raw/x/old.pb", 8.0) in versions(storage)


def test_a_file_with_columns_of_a_newer_version_is_left_alone(storage: FolderStorage) -> None:
    newer = columns.forecasts().append(pa.field("uv_index", pa.float64()))
    name = names.forecasts("raw/x/new.pb", DAY)
    storage.write(name, parquet([row("raw/x/new.pb", 8, 8.0) | {"uv_index": 3.0}], newer))
    assert compact(storage, DAY) == 6
    assert name.rpartition("/")[2] in files(storage)


def test_a_replayed_raw_object_loses_its_older_rows(storage: FolderStorage) -> None:
    compact(storage, DAY)
    put(storage, "raw/uploads/f", row("raw/uploads/f#a.csv", 6, 60.0))
    supersede(storage, "raw/uploads/f", DAY)
    found = versions(storage)
    assert ("raw/uploads/f#a.csv", 60.0) in found
    assert not {("raw/uploads/f#a.csv", 6.0), ("raw/uploads/f#b.csv", 7.0)} & set(found)
    assert len(found) == 6
    supersede(storage, "raw/uploads/f", DAY)  # again: nothing left to take out
    assert versions(storage) == found


def test_loading_a_record_file_takes_its_older_rows_out_of_the_merged_one(
    storage: FolderStorage,
) -> None:
    compact(storage, DAY)
    tables = DuckTables(storage)
    name = put(storage, "raw/x/3.pb", row("raw/x/3.pb", 3, 33.0))
    tables.load(name)
    assert dict(versions(storage))["raw/x/3.pb"] == 33.0
    assert len(versions(storage)) == 7
    tables.unload(name)
    storage.delete(name)
    assert len(versions(storage)) == 6


def test_a_merged_file_without_rows_is_removed(tmp_path: Path) -> None:
    storage = FolderStorage(tmp_path)
    raw = "raw/uploads/f"
    name = f"records/forecasts/{DAY}/{MERGED}0.parquet"
    storage.write(name, parquet([row(raw, 1, 1.0)], columns.forecasts()))
    supersede(storage, raw, DAY)
    assert files(storage) == []


class Killed(Exception):
    """The process ends here."""


class Interrupted(FolderStorage):
    """A storage in which something happens at the first deletion."""

    def __init__(self, root: Path, happens: Callable[[], None]) -> None:
        super().__init__(root)
        self.happens: Callable[[], None] | None = happens

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        if (happens := self.happens) is not None:
            self.happens = None
            happens()
        super().delete(name, if_generation=if_generation)


def test_a_kill_between_writing_and_deleting_is_harmless(storage: FolderStorage) -> None:
    before = versions(storage)

    def kill() -> None:
        raise Killed

    with pytest.raises(Killed):
        compact(Interrupted(storage.root, kill), DAY)
    assert len(files(storage)) == 7  # the merged one and its inputs
    assert versions(storage) == before
    compact(storage, DAY)
    assert len(files(storage)) == 1
    assert versions(storage) == before


def test_a_replay_during_compaction_wins(storage: FolderStorage) -> None:
    raw = "raw/x/3.pb"
    compact(Interrupted(storage.root, lambda: _replay(storage, raw)), DAY)
    found = dict(versions(storage))
    assert found[raw] == 33.0
    assert len(versions(storage)) == 7


def _replay(storage: FolderStorage, raw: str) -> None:
    put(storage, raw, row(raw, 3, 33.0))


def test_a_reader_sees_all_rows_while_files_are_merged(storage: FolderStorage) -> None:
    """A listing that ran while the day was compacted is done again."""
    before = versions(storage)

    class Compacts(FolderStorage):
        """Compacts in the middle of the first listing, after its names were read."""

        compacted = False

        def list(self, prefix: str) -> Iterator[Any]:
            listed = list(super().list(prefix))
            if not self.compacted:
                self.compacted = True
                compact(FolderStorage(self.root), DAY)
            yield from listed

        def open(self, name: str) -> BinaryIO:
            return super().open(name)

    table = DuckTables(Compacts(storage.root)).forecasts(
        Query(variables=("temperature_2m",), view=View.VERSIONS)
    )
    assert sorted((r["raw"], r["temperature_2m"]) for r in table.to_pylist()) == before
