"""The flags of values: those stored with a record, and those that only other records tell.

The latter depend on what was known when the value became known, so they are found anew at each
reading, over all versions of the places concerned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from skyblend.runtime.tables import Query, View, columns
from skyblend.weather.quality import Cases, Verdict, check_context

if TYPE_CHECKING:
    import pyarrow as pa
    from skyblend.runtime.tables import Tables

# Both tables by their kind.
Rows = dict[str, "pa.Table"]

KEYS = {"forecasts": columns.FORECAST_KEY, "observations": columns.OBSERVATION_KEY}


@dataclass(frozen=True, slots=True)
class Flagged:
    """One value that failed a check: the row's kind and key, when it became known, and why."""

    kind: str
    key: tuple[Any, ...]
    known_at: Any
    raw: str
    variable: str
    value: float
    check: str
    reason: str

    @property
    def place_id(self) -> str:
        return str(dict(zip(KEYS[self.kind], self.key, strict=True))["place_id"])


def flagged(tables: "Tables", places: Sequence[str]) -> list[Flagged]:
    """All flagged values of some places, of all versions."""
    query = Query(view=View.VERSIONS, places=tuple(places))
    rows: Rows = {
        "forecasts": tables.forecasts(query),
        "observations": tables.observations(query),
    }
    found = [one for kind, table in rows.items() for one in _stored(kind, table)]
    return [*found, *_of_context(rows)]


def _stored(kind: str, table: "pa.Table") -> Iterator[Flagged]:
    """The flags that stand in the records."""
    import pyarrow as pa
    import pyarrow.compute as pc

    some = table.filter(pc.greater(pc.list_value_length(table["flags"]), pa.scalar(0)))
    for row in some.to_pylist():
        for flag in row["flags"]:
            name = str(flag["variable"]).lower()
            if row.get(name) is not None:
                yield _flagged(kind, row, name, flag["check"], flag["reason"])


def _of_context(rows: "Rows") -> Iterator[Flagged]:
    """The flags that come from other records."""
    coded = _coded(rows)
    for name in columns.VARIABLES:
        if all(table[name].null_count == table.num_rows for table in rows.values()):
            continue
        values = {kind: table[name].to_numpy().astype(np.float64) for kind, table in rows.items()}
        cases = {kind: Cases(value=values[kind], **shared) for kind, shared in coded.items()}
        verdicts = check_context(
            name, forecasts=cases["forecasts"], observations=cases["observations"]
        )
        for (kind, table), verdict in zip(rows.items(), verdicts, strict=True):
            yield from _judged(kind, table, name, verdict)


def _judged(kind: str, table: "pa.Table", name: str, verdict: Verdict) -> Iterator[Flagged]:
    for flag in verdict.flags():
        row = table.slice(flag.row, 1).to_pylist()[0]
        yield _flagged(kind, row, name, flag.check, flag.reason)


def _flagged(kind: str, row: dict[str, Any], name: str, check: str, reason: str) -> Flagged:
    return Flagged(
        kind=kind,
        key=tuple(row[part] for part in KEYS[kind]),
        known_at=row["known_at"],
        raw=row["raw"],
        variable=name,
        value=row[name],
        check=check,
        reason=reason,
    )


def _coded(rows: "Rows") -> dict[str, dict[str, NDArray[Any]]]:
    """What the cases of all variables have in common; a place has the same code in both tables."""
    places = _codes([table["place_id"] for table in rows.values()])
    source, model = (_codes([rows["forecasts"][name]])[0] for name in ("source", "model"))
    told_by = {
        "forecasts": source * (model.max(initial=0) + 1) + model,
        "observations": _codes([rows["observations"]["source"]])[0],
    }
    return {
        kind: {
            "place": place,
            "forecaster": told_by[kind],
            "period": table["period"].to_numpy(),
            "valid_at": _times(table["valid_at" if kind == "forecasts" else "observed_at"]),
            "known_at": _times(table["known_at"]),
        }
        for (kind, table), place in zip(rows.items(), places, strict=True)
    }


def _codes(columns_: "Sequence[pa.ChunkedArray[Any]]") -> list[NDArray[np.int64]]:
    """The same code for the same text in all columns."""
    import pyarrow as pa

    chunks = [chunk for column in columns_ for chunk in column.chunks]
    every: Any = pa.chunked_array(chunks, pa.string()).combine_chunks()
    codes = every.dictionary_encode().indices.to_numpy().astype(np.int64)
    ends = np.cumsum([len(column) for column in columns_])[:-1]
    return np.split(codes, ends)


def _times(column: "pa.ChunkedArray[Any]") -> NDArray[np.datetime64]:
    """Arrow's UTC times as datetime64[us]."""
    return column.to_numpy().astype("datetime64[us]")
