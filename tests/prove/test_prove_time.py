"""Point in time: what became known later changes no view, no verdict and no feature of a time T.

Each statement is tried on clean rows against the same rows with a planted future: absurd runs, late
corrections, observations that arrive after T. That the statements can fail is shown on the same
planted rows, by what a reader without the as-of filter would see.
"""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from skyblend.predict.blend.columns import (
    DAY,
    HOUR,
    ForecastColumns,
    History,
    ObservationColumns,
)
from skyblend.predict.blend.features import Features
from skyblend.predict.blend.lookup import Samples, Truth, learning_samples
from skyblend.predict.blend.series import Series
from skyblend.predict.blend.walk import walk
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.tables import Query, View, columns
from skyblend.runtime.tables.duck import DuckTables
from skyblend.weather.quality import Cases, check_context

SEED = 20_261_121
DAYS, PLACES, FORECASTERS = 14, 4, 3
MINUTE = 60_000_000
T0 = datetime(2026, 3, 1, tzinfo=UTC)


def history(rng: np.random.Generator) -> History:
    """Runs at 00Z and 12Z of three forecasters, some late or missing, for every six hours to two
    days ahead; observations known within three hours, every tenth corrected days later."""
    place, run, ahead, who = (
        grid.ravel()
        for grid in np.meshgrid(
            np.arange(PLACES), np.arange(2 * DAYS), np.arange(1, 9), np.arange(FORECASTERS)
        )
    )
    issued = run * DAY // 2
    truth = 10 + 5 * rng.standard_normal((PLACES, 4 * DAYS + 9))
    step = 2 * run + ahead
    told = ForecastColumns(
        place=place,
        forecaster=who,
        issued=issued,
        valid=issued + ahead * 6 * HOUR,
        known=issued + HOUR * rng.integers(1, 9, len(run)),
        value=truth[place, step] + who + rng.standard_normal(len(run)),
        flagged=rng.random(len(run)) < 0.01,
    )
    told = told.take(np.flatnonzero(rng.random(len(run)) < 0.9))
    spot, time = (grid.ravel() for grid in np.meshgrid(np.arange(PLACES), np.arange(4 * DAYS)))
    seen = ObservationColumns(
        place=spot,
        valid=time * 6 * HOUR,
        known=time * 6 * HOUR + MINUTE * rng.integers(1, 180, len(time)),
        value=truth[spot, time],
        flagged=np.zeros(len(time), dtype=np.bool_),
    )
    again = seen.take(np.flatnonzero(rng.random(len(time)) < 0.1))
    late = again.known + DAY * rng.integers(1, 5, len(again.known))
    corrected = replace(again, known=late, value=again.value + rng.normal(0, 3, len(late)))
    names = tuple(f"place{number}" for number in range(PLACES))
    position = np.column_stack(
        [48 + rng.random(PLACES), 11 + rng.random(PLACES), rng.integers(100, 900, PLACES)]
    )
    return History(
        Series("temperature_2m", 0),
        names,
        tuple(f"model{number}" for number in range(FORECASTERS)),
        position,
        told,
        _joined(seen, corrected),
        dict.fromkeys(names, "station"),
    )


def _joined(first: Any, second: Any) -> Any:
    names = [one.name for one in fields(first)]
    columns_ = {n: np.concatenate([getattr(first, n), getattr(second, n)]) for n in names}
    return type(first)(**columns_)


def with_the_future(clean: History, at: int, rng: np.random.Generator) -> History:
    """Absurd runs, and corrections of every observation, that became known after `at`."""
    told, seen = clean.forecasts, clean.observations
    after = np.maximum(told.known, at) + rng.integers(1, 5 * DAY, len(told.known))
    wild = replace(told, value=told.value + 40, issued=told.issued + HOUR, known=after)
    late = np.maximum(seen.known, at) + rng.integers(1, 5 * DAY, len(seen.known))
    wrong = replace(seen, value=seen.value - 40, known=late)
    return replace(clean, forecasts=_joined(told, wild), observations=_joined(seen, wrong))


def unfiltered(leaky: History, at: int) -> History:
    """What a reader without the as-of filter takes in: what came after `at` as if it were known."""
    told, seen = leaky.forecasts, leaky.observations
    return replace(
        leaky,
        forecasts=replace(told, known=np.minimum(told.known, np.maximum(at, told.issued))),
        observations=replace(seen, known=np.minimum(seen.known, np.maximum(at, seen.valid))),
    )


def situations(clean: History, at: int) -> Samples:
    """Every situation up to `at` that is learnt from, and those that are asked at `at` itself."""
    learnt = learning_samples(clean.forecasts)
    learnt = learnt.take(learnt.cycle <= at)
    valid = np.arange(at // (6 * HOUR) + 1, at // (6 * HOUR) + 8) * 6 * HOUR
    place, ahead = (grid.ravel() for grid in np.meshgrid(np.arange(PLACES), valid))
    return Samples(
        np.concatenate([learnt.cycle, np.full(len(place), at)]),
        np.concatenate([learnt.place, place]),
        np.concatenate([learnt.valid, ahead]),
    )


def features_of(known: History, samples: Samples, at: int) -> Features:
    learnt = samples.cycle < at
    return walk(known, samples, learnt=learnt, truth=Truth(known.observations)).features


def rows_that_differ(one: Features, other: Features) -> np.ndarray:
    """Which rows of the features are not the same to the last bit."""
    differs = np.zeros(len(one.mean), dtype=np.bool_)
    for field in fields(one):
        left, right = getattr(one, field.name), getattr(other, field.name)
        same = (left == right) | (np.isnan(left) & np.isnan(right))
        differs |= ~same.reshape(len(differs), -1).all(axis=1)
    return differs


def test_features_at_a_time_know_nothing_of_later(proof):
    caught = times = 0
    with proof("point in time: features") as one:
        while one.cases < one.size(100_000):
            rng = np.random.default_rng((SEED, 0, times))
            clean, at = history(rng), int(rng.integers(4 * DAY, DAYS * DAY))
            samples, leaky = situations(clean, at), with_the_future(clean, at, rng)
            expected = features_of(clean, samples, at)
            wrong = rows_that_differ(expected, features_of(leaky, samples, at))
            one.cases += len(wrong)
            one.failures += [f"seed {times}, T {at} us, row {row}" for row in np.flatnonzero(wrong)]
            unguarded = features_of(unfiltered(leaky, at), samples, at)
            caught += bool(rows_that_differ(expected, unguarded).any())
            times += 1
        one.notes.append(f"without the filter {caught} of {times} times caught")
        assert caught == times


def cases(rng: np.random.Generator, size: int, *, forecasters: int) -> Cases:
    """Values of 90 days with gross errors, known three days before their time to one after."""
    valid = rng.integers(0, 90 * 4, size) * 6 * HOUR
    known = valid + rng.integers(-6, 3, size) * 12 * HOUR + rng.integers(0, HOUR, size)
    return Cases(
        place=rng.integers(0, 3, size),
        forecaster=rng.integers(0, forecasters, size),
        period=np.zeros(size, np.int64),
        valid_at=valid.view("datetime64[us]"),
        known_at=known.view("datetime64[us]"),
        value=rng.normal(5, 6, size) + np.where(rng.random(size) < 0.03, 45.0, 0.0),
    )


def later(rows: Cases, at: np.datetime64, rng: np.random.Generator) -> Cases:
    """The rows again, absurd and known after `at`."""
    hours = rng.integers(1, 96, rows.size) * np.timedelta64(HOUR, "us")
    shift = np.where(rng.random(rows.size) < 0.5, 25.0, -25.0)
    return replace(rows, known_at=np.maximum(rows.known_at, at) + hours, value=rows.value + shift)


def judged(told: Cases, seen: Cases) -> list[np.ndarray]:
    """The checks that forecasts and observations failed."""
    verdicts = check_context("temperature_2m", forecasts=told, observations=seen)
    return [verdict.check for verdict in verdicts]


def test_verdicts_of_quality_control_know_nothing_of_later(proof):
    caught = times = 0
    with proof("point in time: verdicts of quality control") as one:
        while one.cases < one.size(100_000):
            rng = np.random.default_rng((SEED, 1, times))
            told, seen = cases(rng, 3000, forecasters=4), cases(rng, 800, forecasters=1)
            at = np.datetime64(int(rng.integers(20 * DAY, 80 * DAY)), "us")
            known = [np.flatnonzero(part.known_at <= at) for part in (told, seen)]
            expected = judged(_rows(told, known[0]), _rows(seen, known[1]))
            planted = [later(part, at, rng) for part in (told, seen)]
            got = judged(_joined(told, planted[0]), _joined(seen, planted[1]))
            for rows, want, check in zip(known, expected, got, strict=True):
                one.cases += len(rows)
                wrong = rows[check[rows] != want]
                one.failures += [f"seed {times}, T {at}, row {row}" for row in wrong]
            at_once = replace(planted[0], known_at=told.known_at)
            caught += bool((judged(_joined(told, at_once), seen)[0][known[0]] != expected[0]).any())
            times += 1
        one.notes.append(f"without the filter {caught} of {times} times caught")
        assert caught == times


def _rows(part: Cases, chosen: np.ndarray) -> Cases:
    names = [one.name for one in fields(part)]
    return Cases(**{name: getattr(part, name)[chosen] for name in names})


def stored(
    tables: DuckTables, storage: FolderStorage, name: str, rows: Sequence[dict[str, Any]]
) -> None:
    """A record file of these rows."""
    forecasts = name.startswith("records/forecasts/")
    schema = columns.forecasts() if forecasts else columns.observations()
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(list(rows), schema=schema), sink)
    storage.write(name, sink.getvalue().to_pybytes())
    tables.load(name)


def record(rng: np.random.Generator, known: datetime, raw: str, **key: Any) -> dict[str, Any]:
    values = {n: round(float(rng.normal(10, 5)), 1) for n in ("temperature_2m", "dew_point_2m")}
    missing = [name for name in values if rng.random() < 0.2]
    row = {"source": "x", "place_id": f"P{rng.integers(3)}", "period": 0, "known_at": known}
    row |= {"received_at": known, "latitude": 48.0, "longitude": 11.0, "raw": raw, "flags": []}
    return row | key | values | dict.fromkeys(missing)


def drawn(
    rng: np.random.Generator, count: int, known: Sequence[int], raw: str
) -> list[list[dict[str, Any]]]:
    """Forecasts and observations of few keys, so most are versions; known at `known` minutes."""
    moments = [T0 + timedelta(minutes=int(minute)) for minute in known]
    step = timedelta(hours=6)
    forecasts = [
        record(
            rng, moment, raw, model=f"m{rng.integers(2)}", member="", issued_at=T0,
            valid_at=T0 + step * int(rng.integers(1, 4)),
        )
        for moment in moments[:count]
    ]  # fmt: skip
    observations = [
        record(rng, moment, raw, kind="station", observed_at=T0 + step * int(rng.integers(4)))
        for moment in moments[count:]
    ]
    return [forecasts, observations]


def views(tables: DuckTables, as_of: datetime | None) -> list[list[str]]:
    """Both views of both tables as of a time, rows in an order of their own."""
    return [
        sorted(map(repr, read(Query(view=view, as_of=as_of)).to_pylist()))
        for read in (tables.forecasts, tables.observations)
        for view in (View.VERSIONS, View.CURRENT)
    ]


def test_views_as_of_a_time_know_nothing_of_later(proof, tmp_path: Path):
    caught = times = 0
    with proof("point in time: views of the tables") as one:
        while one.cases < one.size(5_000):
            rng = np.random.default_rng((SEED, 2, times))
            storage = FolderStorage(tmp_path / str(times))
            tables = DuckTables(storage, memory="128MB", threads=1)
            times += 1
            minute = int(rng.integers(100, 2000))
            at = T0 + timedelta(minutes=minute)
            for kind, rows in zip(
                ("forecasts", "observations"),
                drawn(rng, 40, rng.integers(0, minute + 1, 80), "raw/x/a.pb"),
                strict=True,
            ):
                stored(tables, storage, f"records/{kind}/2026-03-01/a.parquet", rows)
            before = views(tables, at)
            for kind, rows in zip(
                ("forecasts", "observations"),
                drawn(rng, 40, minute + rng.integers(1, 3000, 80), "raw/x/b.pb"),
                strict=True,
            ):
                stored(tables, storage, f"records/{kind}/2026-03-02/b.parquet", rows)
            after = views(tables, at)
            one.cases += sum(map(len, before))
            one.failures += [
                f"seed {times - 1}: view {number} as of {at} changed"
                for number, pair in enumerate(zip(before, after, strict=True))
                if pair[0] != pair[1]
            ]
            caught += views(tables, None) != before
        one.notes.append(f"N counts rows; without the filter {caught} of {times} times caught")
        assert caught == times
