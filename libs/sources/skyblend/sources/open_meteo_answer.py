"""Reading Open-Meteo's answers as runs: one model, one place and one period each.

Variables are recognised by the names that we know, models by the suffix in the answer and never by
the request. Each place of a list stands for itself: where one is bad it is refused and the others
go on; where all are bad the payload is.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from skyblend.sources import axes
from skyblend.sources.answers import Json, kind
from skyblend.sources.axes import Axis
from skyblend.sources.contract import BadPayload, Payload, Periods, Refusal
from skyblend.sources.open_meteo_terms import Asked, Key, meaning, read
from skyblend.sources.series import Column, Position
from skyblend.sources.times import Instants
from skyblend.weather.units import UNITS, convert, is_convertible
from skyblend.weather.variables import BY_NAME

# Blocks and facts of an answer; some carry no record and are passed over.
_UNUSED = ("current", "current_weather", "minutely_15")
_KNOWN = {
    *("latitude", "longitude", "elevation", "generationtime_ms", "location_id"),
    *("utc_offset_seconds", "timezone", "timezone_abbreviation"),
    *(f"{name}{tail}" for name in ("hourly", "daily", *_UNUSED) for tail in ("", "_units")),
}

_FARTHEST = 2.0  # degrees between the place asked for and the grid cell that answered


@dataclass(frozen=True, slots=True)
class Run:
    """The columns of one model's run at one place and of one period, in canonical units.

    `day` is N of `_previous_dayN`; None where the newest run, or the only one, answered.
    """

    place: Position
    model: str
    member: str
    day: int | None
    valid_at: Instants
    period: Periods
    values: Mapping[str, Column]


@dataclass(frozen=True, slots=True)
class _Block:
    """The hourly or daily block of one place."""

    name: str
    path: str
    columns: Mapping[str, object]
    units: Mapping[str, object]
    axis: Axis


@dataclass(slots=True)
class Reader:
    """Reads the answers of one payload: what was asked, and what is noted on the way."""

    asked: Asked
    unknown: dict[str, None] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)
    _plain: bool = True
    _axes: dict[tuple[str, str], tuple[Sequence[object], Axis]] = field(default_factory=dict)
    _units: dict[tuple[str, str], str] = field(default_factory=dict)

    def runs(self, body: Json, payload: Payload) -> list[Run]:
        """All runs of all places that are good. Raises BadPayload where none is."""
        self._plain = body.plain
        answers = _answers(body.value, payload)
        runs: list[Run] = []
        refused: list[Refusal] = []
        for index, item in enumerate(answers):
            where = f"$[{index}]" if len(answers) > 1 else "$"
            try:
                answer = read.mapping(item, where)
                runs.extend(
                    list(self._place(answer, _position(answer, index, payload, where), where))
                )
            except BadPayload as bad:
                refused.append(Refusal(bad.where, bad.expected, bad.got))
                if len(refused) == len(answers):
                    raise
        self.refusals.extend(refused)
        return runs

    def _place(self, answer: Mapping[str, object], place: Position, where: str) -> Iterator[Run]:
        for name in answer:
            if name not in _KNOWN:
                self.unknown[f"$.{name}"] = None
        present = [name for name in ("hourly", "daily") if name in answer]
        if not present and answer.keys().isdisjoint(_UNUSED):
            raise read.bad(where, "hourly or daily", f"only {', '.join(answer) or 'nothing'}")
        for name in present:
            block = self._block(answer, name, where)
            yield from (_clear(run) for run in self._runs_of(block, place))

    def _block(self, answer: Mapping[str, object], name: str, where: str) -> _Block:
        path = f"{where}.{name}"
        columns = read.mapping(answer[name], path)
        units = read.mapping(answer.get(f"{name}_units"), f"{path}_units")
        zone = read.text(answer.get("timezone", "GMT"), f"{where}.timezone")
        items = read.sequence(columns.get("time"), f"{path}.time")
        known = self._axes.get((name, zone))
        if known is not None and known[0] == items:
            return _Block(name, path, columns, units, known[1])
        local = axes.zone(read, zone, answer.get("utc_offset_seconds", 0), where)
        build = axes.hours if name == "hourly" else axes.days
        axis = build(read, items, units.get("time"), f"{path}.time", local=local)
        self._note_unclear(items, axis, path, zone)
        self._axes[name, zone] = (items, axis)
        return _Block(name, path, columns, units, axis)

    def _note_unclear(self, items: Sequence[object], axis: Axis, path: str, zone: str) -> None:
        expected = f"an hour that a clock in {zone} shows, and once"
        for index in np.flatnonzero(np.isnat(axis.valid_at)).tolist():
            self.refusals.append(Refusal(f"{path}.time[{index}]", expected, str(items[index])))

    def _runs_of(self, block: _Block, place: Position) -> Iterator[Run]:
        groups: dict[tuple[str, str, int | None, int], dict[str, Column]] = {}
        for model, key, column in self._columns(block):
            period = BY_NAME[key.variable].default_period
            group = groups.setdefault((model, key.member, key.day, period), {})
            group.setdefault(key.variable, column)
        for (model, member, day, period), columns in groups.items():
            length = period if block.name == "hourly" else block.axis.period
            yield Run(place, model, member, day, block.axis.valid_at, length, columns)

    def _columns(self, block: _Block) -> Iterator[tuple[str, Key, Column]]:
        """The models' variables in canonical units, but those of which every value is missing."""
        keys = {name: key for name in block.columns if (key := self._meaning(block.name, name))}
        arrays = [block.columns[name] for name in keys]
        wheres = [f"{block.path}.{name}" for name in keys]
        table = read.columns(arrays, wheres, len(block.axis.valid_at), plain=self._plain)
        blank: NDArray[np.bool_] = np.logical_and.reduce(np.isnan(table), axis=1)
        for row, (name, key) in enumerate(keys.items()):
            model = self._model(key.model, wheres[row])
            unit = self._unit(key.variable, block, name)
            if not blank[row]:
                yield model, key, convert(table[row], unit, BY_NAME[key.variable].unit)

    def _meaning(self, block: str, name: str) -> Key | None:
        """What a key names; None for `time` and for what is unknown, which is noted."""
        key = meaning(block, name, self.asked.models)
        if key is None and name != "time":
            self.unknown[f"$.{block}.{name}"] = None
        return key

    def _model(self, suffix: str, where: str) -> str:
        """The model that answered. With several asked and no suffix nobody can tell."""
        if suffix:
            return suffix
        if len(self.asked.models) > 1:
            expected = f"a suffix that tells which of {', '.join(self.asked.models)} answered"
            raise read.bad(where, expected, "none")
        return self.asked.models[0] if self.asked.models else ""

    def _unit(self, variable: str, block: _Block, name: str) -> str:
        """The unit, checked: the one that was asked for, else any that converts."""
        unit = block.units.get(name)
        known = self._units.get((variable, unit)) if isinstance(unit, str) else None
        if known is not None:
            return known
        canonical = BY_NAME[variable].unit
        where = f"{block.path}_units.{name}"
        if self.asked.known and unit != self.asked.unit(variable):
            raise read.bad(where, self.asked.unit(variable), kind(unit))
        if not isinstance(unit, str) or not is_convertible(unit, canonical):
            raise read.bad(where, f"a unit that converts to {canonical}", kind(unit))
        self._units[variable, unit] = canonical if UNITS[unit] == UNITS[canonical] else unit
        return self._units[variable, unit]


def _clear(run: Run) -> Run:
    """A run without the times that the local clock leaves unknown."""
    known = ~np.isnat(run.valid_at)
    if known.all():
        return run
    values = {name: column[known] for name, column in run.values.items()}
    return replace(run, valid_at=run.valid_at[known], values=values)


def _answers(body: object, payload: Payload) -> list[object]:
    if isinstance(body, dict) and body.get("error"):
        raise read.bad("$.error", "an answer", f"error: {body.get('reason')}")
    answers = body if isinstance(body, list) else [body]
    if payload.places and len(answers) != len(payload.places):
        raise read.bad("$", f"{len(payload.places)} places", str(len(answers)))
    if not answers:
        raise read.bad("$", "at least one place", "an empty array")
    return answers


def _position(answer: Mapping[str, object], index: int, payload: Payload, where: str) -> Position:
    """The grid cell that answered, under the id of the place at this position of the request."""
    latitude = read.number(answer.get("latitude"), f"{where}.latitude", -90, 90)
    longitude = read.number(answer.get("longitude"), f"{where}.longitude", -180, 360)
    height = answer.get("elevation")
    elevation = np.nan if height is None else read.number(height, f"{where}.elevation", -1e3, 1e4)
    if answer.get("location_id", index) != index:
        raise read.bad(f"{where}.location_id", str(index), kind(answer["location_id"]))
    if not payload.places:
        return Position(f"{latitude:.4f},{longitude:.4f}", latitude, longitude, elevation)
    place = payload.places[index]
    east = abs((longitude - place.longitude + 180) % 360 - 180)
    if place.HasField("latitude") and max(abs(latitude - place.latitude), east) > _FARTHEST:
        expected = f"a grid cell near {place.latitude:.2f},{place.longitude:.2f}"
        raise read.bad(where, expected, f"{latitude:.2f},{longitude:.2f}")
    return Position(place.id, latitude, longitude, elevation)
