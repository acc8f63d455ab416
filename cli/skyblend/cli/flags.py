"""The flags of values: those stored with a record, and those that only other records tell.

The latter depend on what was known when the value became known, so they are found anew at each
reading, over all versions of the places concerned, by the function that training calls: of
observations only those that a place is verified against are judged, and forecasts of an ensemble's
members are neither judged nor heard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from skyblend.runtime.tables import Query, View, columns
from skyblend.weather.quality import Cases, Verdict, judge

if TYPE_CHECKING:
    import pyarrow as pa
    from skyblend.runtime.tables import Tables

# Both tables by their kind.
Rows = dict[str, "pa.Table"]

_ANALYSIS = "analysis"

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
    return [*found, *_of_context(rows | {"forecasts": _without_members(rows["forecasts"])})]


def _without_members(table: "pa.Table") -> "pa.Table":
    import pyarrow as pa
    import pyarrow.compute as pc

    return table.filter(pc.equal(table["member"], pa.scalar("")))


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
    analysis = np.array(
        [kind == _ANALYSIS for kind in rows["observations"]["kind"].to_pylist()], bool
    )
    for name in columns.VARIABLES:
        if all(table[name].null_count == table.num_rows for table in rows.values()):
            continue
        cases = {
            kind: Cases(value=_values(table, name), **coded[kind]) for kind, table in rows.items()
        }
        judged = judge(name, **cases, analysis=analysis)
        yield from _judged("forecasts", rows["forecasts"], name, judged.forecasts)
        yield from _judged("observations", rows["observations"], name, judged.observations)


def _values(table: "pa.Table", name: str) -> NDArray[np.float64]:
    """The values of a variable, NaN where missing or flagged by a check of the payload."""
    import pyarrow.compute as pc

    values = table[name].to_numpy().astype(np.float64)
    for row in np.flatnonzero(pc.list_value_length(table["flags"]).to_numpy()):
        if any(flag["variable"].lower() == name for flag in table["flags"][int(row)].as_py()):
            values[row] = np.nan
    return values


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
    told_by = {
        "forecasts": _forecasters(rows["forecasts"]),
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


def _forecasters(table: "pa.Table") -> NDArray[np.int64]:
    """Codes in the order of the forecasters' names, as training has them."""
    import pyarrow as pa
    import pyarrow.compute as pc

    separator = pc.if_else(pc.equal(table["model"], pa.scalar("")), "", "/")
    names = pc.binary_join_element_wise(table["source"], table["model"], separator)
    return _codes([names])[0]


def _codes(columns_: "Sequence[pa.ChunkedArray[Any]]") -> list[NDArray[np.int64]]:
    """The same code for the same text in all columns, in the order of the texts."""
    import pyarrow as pa

    chunks = [chunk for column in columns_ for chunk in column.chunks]
    every: Any = pa.chunked_array(chunks, pa.string()).combine_chunks()
    encoded = every.dictionary_encode()
    rank = np.argsort(np.argsort(np.array(encoded.dictionary.to_pylist(), dtype=object)))
    codes = rank[encoded.indices.to_numpy()].astype(np.int64)
    ends = np.cumsum([len(column) for column in columns_])[:-1]
    return np.split(codes, ends)


def _times(column: "pa.ChunkedArray[Any]") -> NDArray[np.datetime64]:
    """Arrow's UTC times as datetime64[us]."""
    return column.to_numpy().astype("datetime64[us]")
