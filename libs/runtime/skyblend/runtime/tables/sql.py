"""The views on the records as SQL: one builder for DuckDB and BigQuery, whose few different words
stand in a Dialect.

The rows of one key, ordered by (known_at, received_at, raw), are its history. A row is a version if
one of the variables asked for has a value there that differs from its last value before. So the
order in which files arrived changes nothing, a missing value neither makes a version nor erases
one, and a row that is there twice counts once.
"""

# ruff: noqa: S608 - the statements are put together from our own names; values are parameters

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from skyblend.runtime.tables import Query, View
from skyblend.runtime.tables.columns import FORECAST_KEY, OBSERVATION_KEY, VARIABLES

ORDER = ("known_at", "received_at", "raw")
_POSITION = ("latitude", "longitude", "elevation")
BARE = ("raw", *_POSITION)  # null in a bare answer


@dataclass(frozen=True, slots=True)
class Dialect:
    """What differs: whether a list is one parameter or one for each of its values, the flags of an
    older value that completes the newest version, and how lists become one."""

    list_parameters: bool
    older_flags: str  # of {variable}
    concatenate: str


DUCKDB = Dialect(
    list_parameters=False,
    older_flags=(
        "LIST_FILTER(flags_{variable},"
        " lambda flag: {variable} IS NULL AND flag.variable = '{variable}')"
    ),
    concatenate="LIST_CONCAT",
)
BIGQUERY = Dialect(
    list_parameters=True,
    older_flags=(
        "ARRAY(SELECT AS STRUCT flag.variable, flag.check, flag.reason"
        " FROM UNNEST(flags_{variable}) AS flag"
        " WHERE {variable} IS NULL AND flag.variable = '{variable}')"
    ),
    concatenate="ARRAY_CONCAT",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """What one table is made of: its key, the key's column of the valid or observed time, and what
    the newest version tells; `stored` is how a column is read that does not stand there under its
    own name."""

    key: tuple[str, ...]
    time: str
    told: tuple[str, ...]
    stored: Mapping[str, str] = field(default_factory=dict)

    def read(self, column: str) -> str:
        """What gives a column of the table."""
        return self.stored.get(column, column)

    @property
    def bare(self) -> "Shape":
        """The shape without the position."""
        return replace(self, told=tuple(one for one in self.told if one not in _POSITION))


FORECASTS = Shape(FORECAST_KEY, "valid_at", _POSITION)
OBSERVATIONS = Shape(OBSERVATION_KEY, "observed_at", ("kind", *_POSITION))
Parameters = list[object]


def view(
    query: Query, *, relation: str, shape: Shape, variables: Sequence[str], dialect: Dialect
) -> tuple[str, Parameters]:
    """The statement (with `?`) and its parameters that read `query` from `relation`."""
    parameters: Parameters = []
    asked = columns(shape, variables)
    shape = shape.bare if query.bare else shape
    known = _known(query, relation, shape, variables, dialect=dialect, parameters=parameters)
    ctes = [f"known AS ({known})"]
    rows = "known"
    if query.raw:
        ctes.append(f"touched AS ({_touched(query, shape, parameters)})")
        ctes.append(
            "histories AS (SELECT known.* FROM known JOIN touched USING ("
            + ", ".join(shape.key)
            + "))"
        )
        rows = "histories"
    ctes.append(
        f"marked AS ({_marked(rows, shape, variables, current=query.view is View.CURRENT)})"
    )
    ctes.append(f"versions AS (SELECT * FROM marked WHERE {_differs(variables)})")
    final = (
        _current(shape, variables, dialect)
        if query.view is View.CURRENT
        else _versions(shape, variables)
    )
    if query.raw:
        final = f"SELECT * FROM ({final}) AS answer WHERE {_of_raw(query, parameters)}"
    if query.bare:
        told = (f"NULL AS {name}" if name in BARE else name for name in asked)
        final = f"SELECT {', '.join(told)} FROM ({final}) AS told"
    return f"WITH {', '.join(ctes)} {final}", parameters


def variables(query: Query) -> tuple[str, ...]:
    """The variables that are asked for, all where none is named; raises ValueError for an unknown
    one."""
    if unknown := sorted(set(query.variables) - set(VARIABLES)):
        expected = ", ".join(VARIABLES)
        raise ValueError(f"expected variables among {expected}, got {unknown}")
    return query.variables or VARIABLES


def columns(shape: Shape, variables: Sequence[str]) -> tuple[str, ...]:
    """The columns of an answer, in order."""
    return (*shape.key, *ORDER, *shape.told, "flags", *variables)


def _known(
    query: Query,
    relation: str,
    shape: Shape,
    variables: Sequence[str],
    *,
    dialect: Dialect,
    parameters: Parameters,
) -> str:
    """The rows that the query may look at; every condition is on the key or on known_at, so no
    history is cut apart."""
    conditions = [" OR ".join(f"{name} IS NOT NULL" for name in variables)]
    if query.bare and "member" in shape.key:
        conditions.append(f"{shape.read('member')} = ''")
    for column, operator, bound in (
        ("known_at", "<=", query.as_of),
        (shape.time, ">=", query.valid_from),
        (shape.time, "<", query.valid_to),
    ):
        if bound is not None:
            conditions.append(f"{column} {operator} ?")
            parameters.append(bound)
    for one, allowed in _lists(query, shape):
        if dialect.list_parameters:
            conditions.append(f"{one} IN UNNEST(?)")
            parameters.append(allowed)
        else:
            conditions.append(f"{one} IN ({', '.join('?' * len(allowed))})")
            parameters.extend(allowed)
    chosen = ", ".join(_read(shape, name) for name in columns(shape, variables))
    return f"SELECT {chosen} FROM {relation} WHERE " + " AND ".join(
        f"({one})" for one in conditions
    )


def _lists(query: Query, shape: Shape) -> Iterator[tuple[str, tuple[object, ...]]]:
    """What must be one of several, where any are given."""
    for column, allowed in (
        ("source", query.sources),
        ("place_id", query.places),
        ("period", query.periods),
    ):
        if allowed:
            yield shape.read(column), allowed
    if query.issue_hours and "issued_at" in shape.key:
        yield "EXTRACT(HOUR FROM issued_at)", query.issue_hours


def _read(shape: Shape, column: str) -> str:
    return column if column not in shape.stored else f"{shape.stored[column]} AS {column}"


def _touched(query: Query, shape: Shape, parameters: Parameters) -> str:
    return f"SELECT DISTINCT {', '.join(shape.key)} FROM known WHERE {_of_raw(query, parameters)}"


def _of_raw(query: Query, parameters: Parameters) -> str:
    parameters.extend((query.raw, query.raw + "#"))
    return "raw = ? OR STARTS_WITH(raw, ?)"


def _marked(rows: str, shape: Shape, variables: Sequence[str], *, current: bool) -> str:
    """Each row with the last value of each variable before it, and for the current view that
    value's flags."""
    before = [
        f"LAST_VALUE({name} IGNORE NULLS) OVER history AS before_{name}" for name in variables
    ]
    if current and len(variables) > 1:
        before += [
            f"LAST_VALUE(CASE WHEN {name} IS NOT NULL THEN flags END IGNORE NULLS)"
            f" OVER history AS flags_{name}"
            for name in variables
        ]
    return (
        f"SELECT *, {', '.join(before)} FROM {rows} WINDOW history AS ("
        f"PARTITION BY {', '.join(shape.key)} ORDER BY {', '.join((*ORDER, *variables))}"
        " ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING)"
    )


def _differs(variables: Sequence[str]) -> str:
    return " OR ".join(
        f"({name} IS NOT NULL AND {name} IS DISTINCT FROM before_{name})" for name in variables
    )


def _versions(shape: Shape, variables: Sequence[str]) -> str:
    return f"SELECT {', '.join(columns(shape, variables))} FROM versions"


def _current(shape: Shape, variables: Sequence[str], dialect: Dialect) -> str:
    """The last version of each key, completed with the values that it does not tell."""
    descending = ", ".join(f"{name} DESC" for name in (*ORDER, *variables))
    newest = f"ROW_NUMBER() OVER (PARTITION BY {', '.join(shape.key)} ORDER BY {descending}) AS age"
    chosen = [*shape.key, *ORDER, *shape.told, _flags(variables, dialect)]
    chosen += [f"COALESCE({name}, before_{name}) AS {name}" for name in variables]
    numbered = f"SELECT *, {newest} FROM versions"
    return f"SELECT {', '.join(chosen)} FROM ({numbered}) AS numbered WHERE age = 1"


def _flags(variables: Sequence[str], dialect: Dialect) -> str:
    """The flags of the last version and of the older values that complete it."""
    if len(variables) == 1:  # a version has a value, so there is no older one in it
        return "flags"
    older = (dialect.older_flags.format(variable=name) for name in variables)
    return f"{dialect.concatenate}(flags, {', '.join(older)}) AS flags"
