"""`latest/<place>.pb`: for each source and model the newest run at a place whose valid times are
not past.

A run is newer by issued_at, then by known_at, whatever the order of arrival. Back-fills and
archives are no runs to issue from.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from skyblend.preprocess import wire
from skyblend.preprocess.rows import FORECASTS, Mask, Rows, label
from skyblend.preprocess.wire import Points, SeriesKey
from skyblend.protos.v1.records_pb2 import Attribution, Latest, Run, RunSeries
from skyblend.runtime import names
from skyblend.runtime.storage import Storage, update
from skyblend.sources.registry import terms
from skyblend.weather.quality import Flag

HELD = 16 << 20  # bytes of runs held before they are written: more than a call of 50 places
_SECOND = 1_000_000  # us

Forecaster = tuple[str, str]


@dataclass(slots=True)
class Newest:
    """The newest run of one forecaster at one place within a raw object; times in us since 1970."""

    issued_at: int
    known_at: int
    received_at: int
    raw: str
    series: dict[SeriesKey, list[Points]] = field(default_factory=dict)

    @property
    def age(self) -> tuple[int, int]:
        """What makes a run newer than another."""
        return self.issued_at, self.known_at

    @property
    def object(self) -> str:
        """The raw object, without its member."""
        return self.raw.partition("#")[0]


def is_backfill(raw: str) -> bool:
    """Whether the raw object is a task that is done once for each place: its day is `once`."""
    return not names.is_upload(raw) and raw.split("/")[2:3] == ["once"]


class LatestRuns:
    """The runs of one raw object that may be the newest, gathered block by block and written place
    by place."""

    def __init__(self, storage: Storage, *, held: int | None = HELD) -> None:
        self._storage, self._held = storage, held
        self._runs: dict[str, dict[Forecaster, list[Newest]]] = {}
        self._bytes = 0
        self.places: set[str] = set()

    def take(self, rows: Rows, flags: Sequence[Flag]) -> None:
        """Note the runs of a block of forecasts that reach beyond the time of receipt."""
        if rows.kind != FORECASTS or not rows.live.any():
            return
        rows, values = _ordered(rows, _without_flagged(rows, flags))
        ahead = rows.live & (rows.times["valid_at"] > rows.times["received_at"])
        told = {name: ~np.isnan(column) for name, column in rows.values.items()}
        gappy = {name: known for name, known in told.items() if not known.all()}
        for start, end in pairwise([*rows.run_starts.tolist(), rows.count]):
            if ahead[start:end].any() and not label(rows.texts["member"], start):
                self._take(rows, values, gappy, slice(start, end))
        if self._held is not None and self._bytes > self._held:
            self.write()

    def messages(self) -> dict[str, dict[Forecaster, Run]]:
        """The runs that are held, by place and forecaster."""
        return {place: _messages(runs) for place, runs in self._runs.items()}

    def write(self) -> None:
        """Merge the runs into the places' objects; `places` are those whose object now holds a run
        of this raw object."""
        while self._runs:
            place, runs = self._runs.popitem()
            if self._merge(place, _messages(runs)):
                self.places.add(place)
        self._bytes = 0

    def _merge(self, place: str, new: Mapping[Forecaster, Run]) -> bool:
        """Merge runs into a place's object; whether it now holds any of this raw object."""
        held: list[Run] = []

        def change(before: bytes | None) -> bytes:
            held[:] = _runs_after(before, new)
            return wire.latest(place, held)

        update(self._storage, names.latest(place), change)
        ours = {run.raw for run in new.values()}
        return any(_origins(run) & ours for run in held)

    def _take(
        self,
        rows: Rows,
        values: Mapping[str, NDArray[np.float64]],
        gappy: Mapping[str, Mask],
        part: slice,
    ) -> None:
        """Note one run: the rows of `part`; `gappy` marks the values of the columns that lack
        some."""
        start = part.start
        times = {name: int(column[start].astype(np.int64)) for name, column in rows.times.items()}
        run = self._kept(
            rows.place(start),
            (label(rows.texts["source"], start), label(rows.texts["model"], start)),
            Newest(times["issued_at"], times["known_at"], times["received_at"], rows.raw(start)),
        )
        if run.age != (times["issued_at"], times["known_at"]):
            return
        seconds = rows.times["valid_at"][part].astype(np.int64) // _SECOND
        period = int(rows.period[start])
        for name, column in values.items():
            points = (seconds, column[part].copy())
            if name in gappy:
                points = (seconds[gappy[name][part]], column[part][gappy[name][part]])
            if points[0].size:
                run.series.setdefault((name, period), []).append(points)
                self._bytes += points[1].nbytes
        self._bytes += seconds.nbytes

    def _kept(self, place: str, forecaster: Forecaster, run: Newest) -> Newest:
        """The newer of this run and those that are held, which are of one age; each raw object has
        its own."""
        held = self._runs.setdefault(place, {}).setdefault(forecaster, [])
        if held and held[0].age < run.age:
            held.clear()
        if held and held[0].age > run.age:
            return held[0]
        for one in held:
            if one.object == run.object:
                return one
        held.append(run)
        return run


def _without_flagged(rows: Rows, flags: Sequence[Flag]) -> dict[str, NDArray[np.float64]]:
    values = dict(rows.values)
    for name in {flag.variable for flag in flags}:
        values[name] = values[name].copy()
        values[name][[flag.row for flag in flags if flag.variable == name]] = np.nan
    return values


def _ordered(
    rows: Rows, values: dict[str, NDArray[np.float64]]
) -> tuple[Rows, dict[str, NDArray[np.float64]]]:
    """The rows with those of one run together and in order of time; most sources give them so."""
    starts, valid = rows.run_starts, rows.times["valid_at"]
    ascending = np.ones(rows.count, bool)
    ascending[1:] = valid[1:] > valid[:-1]
    ascending[starts] = True
    if ascending.all() and len(starts) * 16 < rows.count * 15:
        return rows, values
    order = np.lexsort([valid.view(np.int64), *rows.run_key])
    return rows.take(order), {name: column[order] for name, column in values.items()}


def merged(place: str, before: bytes | None, *, new: Mapping[Forecaster, Run]) -> bytes:
    """The object of a place with these runs in it, each where it is the newest of its
    forecaster."""
    return wire.latest(place, _runs_after(before, new))


def _runs_after(before: bytes | None, new: Mapping[Forecaster, Run]) -> list[Run]:
    runs = {(run.source, run.model): run for run in Latest.FromString(before or b"").runs}
    for key, run in new.items():
        runs[key] = _newer(runs[key], run) if key in runs else run
    return [runs[key] for key in sorted(runs)]


def _newer(one: Run, other: Run) -> Run:
    """The newer of two runs; the parts of one and the same are put together, each series as it was
    received last, so that the order of arrival changes nothing."""
    if _age(one) != _age(other):
        return max(one, other, key=_age)
    older, newer = sorted((one, other), key=_received)
    if _covers(newer, older):
        return newer
    parts = {(part.variable, part.period): (_origin(older, part), part) for part in older.series}
    for part in newer.series:
        key, origin = (part.variable, part.period), _origin(newer, part)
        if key not in parts or parts[key][0] <= origin:
            parts[key] = origin, part
    return _together(newer, [parts[key] for key in sorted(parts)])


def _covers(newer: Run, older: Run) -> bool:
    """Whether a run came whole with its raw object and tells every series of an older one, that
    likewise came whole."""
    if any(part.raw for part in (*newer.series, *older.series)):
        return False
    told = {(part.variable, part.period) for part in newer.series}
    return all((part.variable, part.period) in told for part in older.series)


Origin = tuple[int, str]  # when a raw object was received, in us since 1970, and its name


def _together(newest: Run, parts: Sequence[tuple[Origin, RunSeries]]) -> Run:
    """A run of these series; one that did not come with the newest raw object says so."""
    run = Run()
    run.CopyFrom(newest)
    del run.series[:]
    for (received_at, raw), part in parts:
        added = run.series.add()
        added.CopyFrom(part)
        added.ClearField("received_at")
        added.ClearField("raw")
        if (received_at, raw) != _received(newest):
            added.received_at.FromMicroseconds(received_at)
            added.raw = raw
    return run


def _age(run: Run) -> tuple[int, int]:
    return run.issued_at.ToMicroseconds(), run.known_at.ToMicroseconds()


def _received(run: Run) -> Origin:
    return run.received_at.ToMicroseconds(), run.raw


def _origin(run: Run, part: RunSeries) -> Origin:
    return (part.received_at.ToMicroseconds(), part.raw) if part.raw else _received(run)


def _origins(run: Run) -> set[str]:
    """The raw objects that a run came from."""
    return {run.raw, *(part.raw for part in run.series if part.raw)}


def _messages(runs: Mapping[Forecaster, Sequence[Newest]]) -> dict[Forecaster, Run]:
    return {
        forecaster: reduce(_newer, (_message(forecaster, one) for one in held))
        for forecaster, held in runs.items()
    }


def _message(forecaster: Forecaster, newest: Newest) -> Run:
    known = terms(forecaster[0])
    head = Run(
        source=forecaster[0],
        model=forecaster[1],
        raw=newest.raw,
        attribution=Attribution(text=known.text, url=known.url, licence=known.licence),
    )
    head.issued_at.FromMicroseconds(newest.issued_at)
    head.known_at.FromMicroseconds(newest.known_at)
    head.received_at.FromMicroseconds(newest.received_at)
    return wire.run(head, newest.series)
