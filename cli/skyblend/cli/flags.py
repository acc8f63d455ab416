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
    rows = {"forecasts": tables.forecasts(query), "observations": tables.observations(query)}
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


def _of_context(rows: "dict[str, pa.Table]") -> Iterator[Flagged]:
    """The flags that come from other records."""
    codes = _Codes()
    for name in columns.VARIABLES:
        cases = {kind: _cases(kind, table, name, codes) for kind, table in rows.items()}
        verdicts = check_context(name, **cases)
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


class _Codes:
    """Integers for texts, the same in all tables."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], int] = {}

    def of(self, *texts: "pa.ChunkedArray[Any]") -> NDArray[np.int64]:
        columns_ = [text.to_pylist() for text in texts]
        known = self._known
        return np.array(
            [known.setdefault(key, len(known)) for key in zip(*columns_, strict=True)], np.int64
        )


def _cases(kind: str, table: "pa.Table", name: str, codes: _Codes) -> Cases:
    forecasts = kind == "forecasts"
    return Cases(
        place=codes.of(table["place_id"]),
        forecaster=codes.of(
            *(table[part] for part in (("source", "model") if forecasts else ("source",)))
        ),
        period=table["period"].to_numpy(),
        valid_at=_times(table["valid_at" if forecasts else "observed_at"]),
        known_at=_times(table["known_at"]),
        value=table[name].to_numpy().astype(np.float64),
    )


def _times(column: "pa.ChunkedArray[Any]") -> NDArray[np.datetime64]:
    """Arrow's UTC times as datetime64[us]."""
    return column.to_numpy().astype("datetime64[us]")
