"""`latest/` made again from the record files, when it is lost or a decoder was repaired."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from skyblend.preprocess.latest import LatestRuns, Runs, after, is_backfill
from skyblend.preprocess.rows import FORECASTS, POSITION, Rows
from skyblend.protos.v1.records_pb2 import Latest
from skyblend.runtime import names
from skyblend.runtime.latest import parts
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Storage, update
from skyblend.runtime.tables import columns
from skyblend.sources.contract import Labels
from skyblend.weather.quality import Flag

HORIZON = timedelta(days=17)  # the longest run that providers give
_TEXTS = ("source", "model", "member", "place_id", "raw")
_TIMES = ("issued_at", "valid_at", "known_at", "received_at")


def rebuild(runtime: Runtime, *, now: datetime) -> list[str]:
    """Make every place's newest runs again from the records of the last 17 days; gives the places
    that have any. What arrives meanwhile stays."""
    storage = runtime.storage
    found = LatestRuns(storage, held=None)
    for rows, flags in _blocks(storage, (now - HORIZON).date()):
        found.take(rows, flags)
    runs = found.messages()
    others = [one.name for one in storage.list(names.LATEST) if one.name not in runs]
    for name in (*runs, *others):  # first what there is, so that no place is without meanwhile
        update(storage, name, partial(_replaced, name, new=runs.get(name, {}), since=now))
    return sorted({place for part in runs.values() for place in part})


def _replaced(name: str, before: bytes | None, *, new: Runs, since: datetime) -> bytes:
    """The rebuilt runs, and those of before that were received since the rebuilding began. A place
    that has none any more stays without, so that it is issued so."""
    began = int(since.timestamp())
    contents = parts.contents(name, before or b"")
    for place in contents.keys() | new.keys():
        held = Latest.FromString(bytes(contents.get(place, b""))).runs
        kept = parts.latest(place, (run for run in held if run.received_at.seconds >= began))
        contents[place] = parts.latest(place, after(kept, new.get(place, {})))
    alone = names.latest_place(name)
    return parts.encode(contents) if alone is None else bytes(contents[alone])


def _blocks(storage: Storage, since: date) -> Iterator[tuple[Rows, list[Flag]]]:
    """The rows of each row group that may hold a run to issue from."""
    for listed in storage.list(names.FORECASTS):
        if listed.name.removeprefix(names.FORECASTS)[:10] < since.isoformat():
            continue
        with storage.open(listed.name) as stream, pq.ParquetFile(stream) as file:
            for number in range(file.metadata.num_row_groups):
                if _reaches_ahead(file.metadata.row_group(number)):
                    yield _read(file.read_row_group(number))


def _reaches_ahead(group: pq.RowGroupMetaData) -> bool:
    columns_of = (group.column(number) for number in range(group.num_columns))
    bounds: dict[str, Any] = {column.path_in_schema: column.statistics for column in columns_of}
    return bool(bounds["valid_at"].max > bounds["received_at"].min)


def _read(table: pa.Table) -> tuple[Rows, list[Flag]]:
    table = table.combine_chunks()
    texts = {name: _labels(table[name]) for name in _TEXTS}
    runs = np.array([not is_backfill(raw.partition("#")[0]) for raw in texts["raw"].names], bool)
    rows = Rows(
        kind=FORECASTS,
        count=table.num_rows,
        texts=texts,
        times={name: table[name].to_numpy().astype("datetime64[us]") for name in _TIMES},
        period=table["period"].to_numpy(),
        position={name: table[name].to_numpy() for name in POSITION},
        values={
            n: table[n].to_numpy()
            for n in columns.VARIABLES
            if table[n].null_count < table.num_rows
        },
        live=runs[texts["raw"].codes],
    )
    return rows, list(_flags(table["flags"]))


def _labels(column: "pa.ChunkedArray[Any]") -> Labels:
    encoded: Any = column.combine_chunks().dictionary_encode()
    return Labels(tuple(encoded.dictionary.to_pylist()), encoded.indices.to_numpy())


def _flags(column: "pa.ChunkedArray[Any]") -> Iterator[Flag]:
    for row in np.flatnonzero(pc.list_value_length(column).to_numpy()):
        for flag in column[int(row)].as_py():
            yield Flag(int(row), flag["variable"], flag["check"], flag["reason"])
