"""From tables to columns: the history of one series as it was known at a time, and the newest
runs as of a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np
from skyblend.predict.blend.columns import (
    Flags,
    Floats,
    ForecastColumns,
    History,
    Ints,
    ObservationColumns,
)
from skyblend.predict.blend.series import BLENDED, Series, forecaster
from skyblend.protos.v1.records_pb2 import Latest, Place, Run
from skyblend.protos.v1.variables_pb2 import Variable
from skyblend.runtime.tables import Query, Tables, View
from skyblend.weather.quality import Cases, judge

if TYPE_CHECKING:
    import pyarrow as pa

STATION, ANALYSIS = "station", "analysis"
_POSITION = ("latitude", "longitude", "elevation")
_COMPLETED_BY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows of one table: text columns as codes with their names, times in us, the value and its
    flags."""

    text: Mapping[str, tuple[Ints, tuple[str, ...]]]
    time: Mapping[str, Ints]
    period: Ints
    value: Floats
    flagged: Flags
    position: Floats
    kind: tuple[Ints, tuple[str, ...]] = field(default_factory=lambda: (np.zeros(0, np.int64), ()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """How much of the past is read: valid times from `since` on, and runs issued in `hours` of the
    day (UTC); all where they are not given. With `hours` rows are read bare, so a place has the
    position that it is configured with, or none."""

    since: datetime | None = None
    hours: tuple[int, ...] = ()


def histories(
    tables: Tables,
    variables: tuple[str, ...],
    *,
    as_of: datetime,
    places: Mapping[str, Place],
    extent: Extent | None = None,
) -> list[History]:
    """The history of every blended series of `variables` that forecasts exist of, as it was known
    at `as_of`.

    `places` are the configured ones: their positions count before those of the records.
    """
    extent = extent or Extent()
    found: list[History] = []
    for variable in variables:
        if variable not in BLENDED:
            raise ValueError(f"{variable} is not blended: expected one of {', '.join(BLENDED)}")
        query = Query(
            variables=(variable,), view=View.VERSIONS, as_of=as_of, valid_from=extent.since
        )
        few = replace(query, issue_hours=extent.hours, bare=bool(extent.hours))
        told = _without_members(tables.forecasts(few))
        forecasts = _rows(told, variable, ("place_id", "source", "model"))
        observations = _rows(tables.observations(query), variable, ("place_id", "source"))
        found += [
            _history(Series(variable, int(period)), forecasts, observations, places)
            for period in np.unique(forecasts.period)
        ]
    return found


def _without_members(table: "pa.Table") -> "pa.Table":
    """Only the rows that `latest` would hold: a member of an ensemble is no forecaster."""
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.compute as pc  # noqa: PLC0415

    return table.filter(pc.equal(table["member"], pa.scalar("")))


def _rows(table: "pa.Table", variable: str, text: tuple[str, ...]) -> _Rows:
    valid = "valid_at" if "valid_at" in table.column_names else "observed_at"
    times = {"valid": valid, "known": "known_at", "issued": "issued_at", "received": "received_at"}
    return _Rows(
        text={name: _codes(table, name) for name in text},
        time={to: _times(table, name) for to, name in times.items() if name in table.column_names},
        period=table["period"].to_numpy().astype(np.int64),
        value=table[variable].to_numpy().astype(np.float64),
        flagged=_flagged(table, variable),
        position=np.column_stack([table[name].to_numpy().astype(np.float64) for name in _POSITION]),
        kind=_codes(table, "kind") if "kind" in table.column_names else (np.zeros(0, np.int64), ()),
    )


def _codes(table: "pa.Table", name: str) -> tuple[Ints, tuple[str, ...]]:
    """Codes into the names, which are in their own order, whatever that of the rows."""
    column = table[name].combine_chunks().dictionary_encode()
    found = tuple(map(str, column.dictionary.to_pylist()))
    names = tuple(sorted(found))
    return _recoded(column.indices.to_numpy().astype(np.int64), found, names), names


def _times(table: "pa.Table", name: str) -> Ints:
    import pyarrow as pa  # noqa: PLC0415 - heavy

    return np.asarray(table[name].cast(pa.int64()).to_numpy(), dtype=np.int64)


def _flagged(table: "pa.Table", variable: str) -> Flags:
    """Which rows carry a flag of this variable."""
    import pyarrow.compute as pc  # noqa: PLC0415 - heavy

    flags = table["flags"].combine_chunks()
    flagged = np.zeros(len(table), dtype=np.bool_)
    parents = pc.list_parent_indices(flags).to_numpy()
    names = pc.struct_field(pc.list_flatten(flags), "variable").to_pylist()
    flagged[
        [parent for parent, name in zip(parents, names, strict=True) if name in _names(variable)]
    ] = True
    return flagged


def _names(variable: str) -> tuple[str, str]:
    return variable, variable.upper()


def _history(
    series: Series, forecasts: _Rows, observations: _Rows, places: Mapping[str, Place]
) -> History:
    mine, seen = forecasts.period == series.period, observations.period == series.period
    place_codes, place_names = forecasts.text["place_id"]
    names = tuple(sorted({place_names[code] for code in np.unique(place_codes[mine])}))
    place = _recoded(place_codes, place_names, names)
    observed_place = _recoded(*observations.text["place_id"], names)
    who, forecasters = _forecasters(forecasts, mine)
    stated = _in_order(forecasts, np.flatnonzero(mine), place, who)
    told = ForecastColumns(
        place=place[stated],
        forecaster=who[stated],
        issued=forecasts.time["issued"][stated],
        valid=forecasts.time["valid"][stated],
        known=forecasts.time["known"][stated],
        value=forecasts.value[stated],
        flagged=forecasts.flagged[stated],
    )
    source = observations.text["source"][0]
    observed = _in_order(
        observations, np.flatnonzero(seen & (observed_place >= 0)), observed_place, source
    )
    truth = ObservationColumns(
        place=observed_place[observed],
        valid=observations.time["valid"][observed],
        known=observations.time["known"][observed],
        value=observations.value[observed],
        flagged=observations.flagged[observed],
    )
    analysis = _is_analysis(observations)[observed]
    cases = _cases(series, told, told.forecaster), _cases(series, truth, source[observed])
    judged = judge(series.variable, forecasts=cases[0], observations=cases[1], analysis=analysis)
    told = replace(told, flagged=told.flagged | judged.forecasts.flagged)
    chosen = np.flatnonzero(judged.chosen)
    truth = replace(truth, flagged=truth.flagged | judged.observations.flagged).take(chosen)
    against = {
        names[place]: ANALYSIS if is_analysis else STATION
        for place, is_analysis in zip(truth.place.tolist(), analysis[chosen], strict=True)
    }
    position = _positions(names, places, forecasts.position[stated], told.place)
    cases = cases[0], cases[1].take(chosen)
    return History(series, names, forecasters, position, told, truth, against, cases)


def _is_analysis(rows: _Rows) -> Flags:
    kinds, kind_names = rows.kind
    return np.array([name == ANALYSIS for name in kind_names] or [False])[kinds]


def _in_order(rows: _Rows, chosen: Ints, place: Ints, who: Ints) -> Ints:
    """The rows in an order that does not depend on how the table gave them."""
    times = [rows.time[name][chosen] for name in ("received", "known")]
    keys = (rows.value[chosen], rows.time["valid"][chosen], who[chosen], place[chosen], *times)
    return chosen[np.lexsort(keys)]


def _cases(series: Series, rows: ForecastColumns | ObservationColumns, who: Ints) -> Cases:
    return Cases(
        place=rows.place,
        forecaster=who,
        period=np.full(len(rows.place), series.period),
        valid_at=rows.valid.view("datetime64[us]"),
        known_at=rows.known.view("datetime64[us]"),
        value=np.where(rows.flagged, np.nan, rows.value),
    )


def _recoded(codes: Ints, names: tuple[str, ...], to: tuple[str, ...]) -> Ints:
    """Codes into `to`, -1 for a name that is not there."""
    number = {name: code for code, name in enumerate(to)}
    table = np.array([number.get(name, -1) for name in names] or [-1], dtype=np.int64)
    return table[codes]


def _forecasters(rows: _Rows, mine: Flags) -> tuple[Ints, tuple[str, ...]]:
    (sources, source_names), (models, model_names) = rows.text["source"], rows.text["model"]
    width = max(len(model_names), 1)
    pairs = sources * width + models
    labels = {
        int(pair): forecaster(source_names[pair // width], model_names[pair % width])
        for pair in np.unique(pairs[mine])
    }
    names = tuple(sorted(labels.values()))
    codes = np.full(len(source_names) * width + 1, -1, dtype=np.int64)
    for pair, label in labels.items():
        codes[pair] = names.index(label)
    return codes[pairs], names


def _positions(
    names: tuple[str, ...], places: Mapping[str, Place], stated: Floats, place: Ints
) -> Floats:
    """Position of each place: as configured, else as the earliest record states it."""
    position = np.full((len(names), 3), np.nan)
    known = np.flatnonzero(np.isfinite(stated[:, 0]))
    first, index = np.unique(place[known], return_index=True)
    position[first] = stated[known[index]]
    for code, name in enumerate(names):
        if (configured := places.get(name)) is not None and configured.HasField("latitude"):
            position[code] = [
                getattr(configured, part) if configured.HasField(part) else np.nan
                for part in _POSITION
            ]
    return position


def latest_as_of(tables: Tables, place_id: str, at: datetime) -> Latest:
    """The newest run of each forecaster for a place as it was known at `at`, with the times
    after it; for `forecast --at`.

    A run is completed by those of the day before it: previous runs are told hour by hour, each
    valid time with its own time of issue. Of two values for one time the newer counts.
    """
    told: dict[tuple[str, str], list[tuple[str, dict[str, object]]]] = {}
    for variable in BLENDED:
        query = Query(variables=(variable,), as_of=at, places=(place_id,), valid_from=at)
        for row in tables.forecasts(query).sort_by([("issued_at", "ascending")]).to_pylist():
            if row["valid_at"] > at and not row["member"] and not _is_flagged(row, variable):
                told.setdefault((row["source"], row["model"]), []).append((variable, row))
    return Latest(place_id=place_id, runs=[_run(told[key]) for key in sorted(told)])


def _is_flagged(row: Mapping[str, object], variable: str) -> bool:
    flags = row["flags"]
    return isinstance(flags, list) and any(flag["variable"] in _names(variable) for flag in flags)


def _run(told: Sequence[tuple[str, dict[str, object]]]) -> Run:
    """The run of one forecaster from its rows, which come in order of issue for each variable."""
    newest = max((row for _, row in told), key=lambda row: _moment(row["issued_at"]))
    run = Run(source=str(newest["source"]), model=str(newest["model"]), raw=str(newest["raw"]))
    for time, name in (
        (run.issued_at, "issued_at"),
        (run.known_at, "known_at"),
        (run.received_at, "received_at"),
    ):
        time.FromDatetime(_moment(newest[name]))
    values: dict[tuple[str, int], dict[int, float]] = {}
    for variable, row in told:
        if _moment(newest["issued_at"]) - _moment(row["issued_at"]) < _COMPLETED_BY:
            series = values.setdefault((variable, int(str(row["period"]))), {})
            series[round(_moment(row["valid_at"]).timestamp())] = float(str(row[variable]))
    for (variable, period), series in values.items():
        times = sorted(series)
        run.series.add(
            variable=Variable.Value(variable.upper()),
            period=period,
            valid_at=times,
            value=[series[time] for time in times],
        )
    return run


def _moment(value: object) -> datetime:
    if not isinstance(value, datetime):
        raise TypeError(f"expected a time, got {value!r}")
    return value.astimezone(UTC)
