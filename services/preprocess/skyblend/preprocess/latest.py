"""What of a raw object goes to `latest/`: for each place, source and model the newest run whose
valid times are not past.

All of it is one write, to the part of the raw object's task or of the upload. Back-fills and
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
from skyblend.protos.v1.records_pb2 import Attribution, Latest, Run
from skyblend.runtime import names
from skyblend.runtime.latest import parts
from skyblend.runtime.latest.runs import Forecaster, merged, newer, origins
from skyblend.runtime.storage import Storage, update
from skyblend.sources.registry import terms
from skyblend.weather.quality import Flag

HELD = 20 << 20  # bytes of runs held before they are written: more than a task of 100 places
_SECOND = 1_000_000  # us

Runs = Mapping[str, Mapping[Forecaster, Run]]  # place -> the runs there


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


Held = dict[str, dict[Forecaster, list[Newest]]]  # place -> the runs there, as columns


def is_backfill(raw: str) -> bool:
    """Whether the raw object is a task that is done once for each place: its day is `once`."""
    return not names.is_upload(raw) and raw.split("/")[2:3] == ["once"]


class LatestRuns:
    """The runs of one raw object that may be the newest, gathered block by block and written
    together. Where they are more than `held` bytes, they are several parts.

    Rebuilding gathers those of many raw objects."""

    def __init__(self, storage: Storage, *, held: int | None = HELD) -> None:
        self._storage, self._held = storage, held
        self._runs: dict[str, Held] = {}
        self._bytes = self._number = 0
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

    def messages(self) -> dict[str, Runs]:
        """The runs that are held, by part and place."""
        return {
            part: {place: _messages(runs) for place, runs in found.items()}
            for part, found in self._runs.items()
        }

    def write(self) -> None:
        """Merge the runs into their part; `places` are those of which it now holds a run of this
        raw object."""
        self._number += bool(self._runs)
        while self._runs:
            self._merge(*self._runs.popitem())
        self._bytes = 0

    def _merge(self, name: str, new: Held) -> None:
        """Merge runs into a part."""
        ours: set[str] = set()

        def change(before: bytes | None) -> bytes:
            contents = parts.contents(name, before or b"")
            ours.clear()

            def content(place: str) -> parts.Content:
                if place not in new:
                    return contents[place]
                runs = _messages(new[place])
                held = after(contents.get(place), runs)
                raw = {run.raw for run in runs.values()}
                if any(origins(run) & raw for run in held):
                    ours.add(place)
                return parts.latest(place, held)

            return parts.made(contents.keys() | new.keys(), content)

        update(self._storage, name, change)
        self.places |= ours

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
        part = self._runs.setdefault(names.latest(run.object, self._number), {})
        held = part.setdefault(place, {}).setdefault(forecaster, [])
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


def after(before: parts.Content | None, new: Mapping[Forecaster, Run]) -> list[Run]:
    """The runs of a place with these among them, each where it is the newest of its forecaster."""
    held = Latest.FromString(bytes(before or b"")).runs
    return merged([*held, *new.values()])


def _messages(runs: Mapping[Forecaster, Sequence[Newest]]) -> dict[Forecaster, Run]:
    return {
        forecaster: reduce(newer, (_message(forecaster, one) for one in held))
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
