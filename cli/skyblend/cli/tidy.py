"""Records as tables in the tidy format, a few places at a time."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from skyblend.cli.flags import KEYS, Flagged, flagged
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime import places as known_places
from skyblend.runtime.storage import Storage
from skyblend.runtime.tables import Query, View, columns

if TYPE_CHECKING:
    from skyblend.runtime.place import Runtime

# Places that are read at a time, which bounds the memory.
_PLACES = 25
_POSITION = ("latitude", "longitude", "elevation")
_HEAD = {
    "forecasts": (
        *("source", "model", "member", "place_id", *_POSITION),
        *("issued_at", "valid_at", "period", "known_at"),
    ),
    "observations": (
        *("source", "kind", "place_id", *_POSITION),
        *("observed_at", "period", "known_at"),
    ),
}
_FILES = {"forecasts": names.FORECASTS, "observations": names.OBSERVATIONS}


def rows(
    runtime: "Runtime",
    kind: str,
    *,
    current: bool,
    sources: Sequence[str] = (),
    places: Sequence[str] = (),
) -> Iterator[pa.Table]:
    """The records of a kind, all versions or the current ones, in tables of the same columns.

    The columns of variables are those that any record has a value of. A position that a record does
    not state is that of its place.
    """
    known = known_places.read(runtime.storage)
    variables = written_variables(runtime.storage, kind)
    chosen = sorted(places or known)
    read = runtime.tables.forecasts if kind == "forecasts" else runtime.tables.observations
    for start in range(0, max(len(chosen), 1), _PLACES):
        some = tuple(chosen[start : start + _PLACES]) or ("",)
        view = View.CURRENT if current else View.VERSIONS
        table = read(Query(view=view, sources=tuple(sources), places=some, variables=variables))
        flags = flagged(runtime.tables, some) if table.num_rows else []
        yield _tidy(
            kind, table, variables, known=known, flags=_by_key(kind, flags), current=current
        )


def written_variables(storage: Storage, kind: str) -> tuple[str, ...]:
    """The variables that have a value in any record file, from the files' own statistics."""
    found: set[str] = set()
    for listed in storage.list(_FILES[kind]):
        with storage.open(listed.name) as stream:
            found |= _with_values(pq.read_metadata(stream))
    return tuple(name for name in columns.VARIABLES if name in found)


def _with_values(metadata: pq.FileMetaData) -> set[str]:
    chunks = (
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    return {
        chunk.path_in_schema
        for chunk in chunks
        if chunk.statistics is None or (chunk.statistics.null_count or 0) < chunk.num_values
    }


def _by_key(kind: str, flags: Sequence[Flagged]) -> dict[tuple[object, ...], list[Flagged]]:
    found: dict[tuple[object, ...], list[Flagged]] = {}
    for flag in flags:
        if flag.kind == kind:
            found.setdefault(flag.key, []).append(flag)
    return found


def _tidy(
    kind: str,
    table: pa.Table,
    variables: Sequence[str],
    *,
    known: Mapping[str, Place],
    flags: Mapping[tuple[object, ...], list[Flagged]],
    current: bool,
) -> pa.Table:
    table = _with_positions(_in_order(kind, table), known)
    texts = _flag_texts(kind, table, flags, current=current)
    chosen = table.select([*_HEAD[kind], *variables])
    return chosen.append_column("flags", pa.array(texts, pa.string()))


def _in_order(kind: str, table: pa.Table) -> pa.Table:
    """By place and times, then by all that tells two rows apart: the same records give the same
    file."""
    first = ("place_id", *_times(kind), "source")
    rest = (name for name in (*_HEAD[kind], "received_at", "raw") if name not in first)
    names_ = (*first, *(name for name in rest if name not in _POSITION))
    return table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in names_]))


def _times(kind: str) -> tuple[str, ...]:
    return (
        ("valid_at", "issued_at", "known_at")
        if kind == "forecasts"
        else ("observed_at", "known_at")
    )


def _with_positions(table: pa.Table, known: Mapping[str, Place]) -> pa.Table:
    ids: list[str] = table["place_id"].to_pylist()  # type: ignore[assignment]
    for name in _POSITION:
        column = table[name]
        if column.null_count:
            given = [
                getattr(known[id_], name) if id_ in known and known[id_].HasField(name) else None
                for id_ in ids
            ]
            filled = pc.coalesce(column, pa.chunked_array([pa.array(given, pa.float64())]))
            table = table.set_column(table.schema.get_field_index(name), name, filled)
    return table


def _flag_texts(
    kind: str,
    table: pa.Table,
    flags: Mapping[tuple[object, ...], list[Flagged]],
    *,
    current: bool,
) -> list[str | None]:
    """`variable check: reason; ...` of the flagged values of each row, None where none is."""
    if not flags:
        return [None] * table.num_rows
    keys = zip(*(table[name].to_pylist() for name in KEYS[kind]), strict=True)
    found = ((row, flags[key]) for row, key in enumerate(keys) if key in flags)
    texts: list[str | None] = [None] * table.num_rows
    for row, candidates in found:
        values = table.slice(row, 1).to_pylist()[0]
        ours = [flag for flag in candidates if _is_of(flag, values, current=current)]
        texts[row] = "; ".join(f"{f.variable} {f.check}: {f.reason}" for f in ours) or None
    return texts


def _is_of(flag: Flagged, row: Mapping[str, object], *, current: bool) -> bool:
    """Whether the row holds the flagged value: that version, or in the current view that number."""
    return row.get(flag.variable) == flag.value and (current or row["known_at"] == flag.known_at)
