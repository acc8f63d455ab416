import itertools
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from skyblend.preprocess import wire
from skyblend.preprocess.latest import LatestRuns
from skyblend.preprocess.rebuild import rebuild
from skyblend.preprocess.rows import Piece, concatenate
from skyblend.protos.v1.records_pb2 import Latest, Run
from skyblend.runtime import names
from skyblend.runtime.latest.reader import read_one
from skyblend.runtime.storage.memory import MemoryStorage
from skyblend.sources.contract import Forecasts
from skyblend.weather.quality import Flag

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
RECEIVED = np.datetime64("2026-11-20T10:20", "us")
HOUR = np.timedelta64(1, "h")
RAW = names.answers("x", "forecast", NOW, "1" * 12)
MUNICH = ("munich", 48.13, 11.58)


def run(
    issued,
    values,
    *,
    known=None,
    source="s",
    model="a",
    place="munich",
    member="",
    raw=RAW,
):
    """A run whose hourly temperatures begin at its issue."""
    issued_at = np.datetime64(issued, "us")
    item = Forecasts(
        source=source,
        model=model,
        member=member,
        place_id=place,
        issued_at=issued_at,
        valid_at=issued_at + np.arange(len(values)) * HOUR,
        period=0,
        known_at=np.datetime64(known or issued, "us"),
        values={"temperature_2m": np.array(values, float)},
    )
    return Piece(item, raw, RECEIVED, live=True)


def written(storage, *pieces, flags=()):
    """Take each piece as a raw object of its own."""
    for piece in pieces:
        runs = LatestRuns(storage)
        runs.take(concatenate([piece]), flags)
        runs.write()
    return read_one(storage, "munich")


def test_a_series_holds_times_in_seconds_and_values():
    (found,) = written(MemoryStorage(), run("2026-11-20T10:00", [1.5, 2.5])).runs
    (series,) = found.series
    ten = int(datetime(2026, 11, 20, 10, tzinfo=UTC).timestamp())
    assert (found.source, found.model, series.period) == ("s", "a", 0)
    assert list(series.valid_at) == [ten, ten + 3600]
    assert list(series.value) == [1.5, 2.5]
    assert found.received_at.ToDatetime(UTC) == NOW


OLD = run("2026-11-20T04:00", [1.0] * 9)
NEW = run("2026-11-20T10:00", [2.0] * 3)
LATER = run("2026-11-20T10:00", [3.0] * 3, known="2026-11-20T10:05")


@pytest.mark.parametrize("order", [*itertools.permutations([OLD, NEW, LATER])])
def test_the_newest_run_stays_whatever_the_order_of_arrival(order):
    (found,) = written(MemoryStorage(), *order).runs
    assert list(found.series[0].value) == [3.0] * 3


@pytest.mark.parametrize(
    ("source", "text", "url"),
    [
        ("open_meteo", "Weather data by Open-Meteo.com", "https://open-meteo.com/"),
        ("nws_scs", "US National Weather Service", "https://www.weather.gov/disclaimer"),
        ("my station", "Uploaded by the user", ""),
    ],
)
def test_a_run_carries_the_terms_of_its_data(source, text, url):
    (found,) = written(MemoryStorage(), run("2026-11-20T10:00", [1.5, 2.5], source=source)).runs
    assert (found.attribution.text, found.attribution.url) == (text, url)


def test_each_model_has_its_own_run():
    other = run("2026-11-20T04:00", [1.0] * 9, model="b")
    assert [one.model for one in written(MemoryStorage(), NEW, other).runs] == ["a", "b"]


def test_a_run_that_is_over_is_none():
    storage = MemoryStorage()
    runs = LatestRuns(storage)
    runs.take(concatenate([run("2026-11-20T04:00", [1.0] * 3)]), [])
    runs.write()
    assert not [*storage.list(names.LATEST)]
    assert runs.places == set()


def test_members_of_an_ensemble_are_no_run():
    storage = MemoryStorage()
    runs = LatestRuns(storage)
    runs.take(concatenate([run("2026-11-20T10:00", [1.0] * 3, member="01")]), [])
    runs.write()
    assert not [*storage.list(names.LATEST)]


def test_flagged_values_are_nan_and_missing_ones_absent():
    flag = Flag(1, "temperature_2m", "range", "")
    piece = run("2026-11-20T10:00", [1.0, 99.0, np.nan, 4.0])
    (found,) = written(MemoryStorage(), piece, flags=[flag]).runs
    assert np.array_equal(found.series[0].value, [1.0, np.nan, 4.0], equal_nan=True)


def test_rows_of_one_run_in_any_order_are_one_series():
    storage = MemoryStorage()
    parts = [run("2026-11-20T10:00", [float(n)]) for n in range(4)]
    for n, part in enumerate(parts):
        part.item.valid_at[:] += np.timedelta64(3 - n, "h")
    runs = LatestRuns(storage)
    runs.take(concatenate([*parts, run("2026-11-20T10:00", [7.0] * 2, model="b")]), [])
    runs.write()
    found = read_one(storage, "munich")
    assert list(found.runs[0].series[0].value) == [3.0, 2.0, 1.0, 0.0]


def test_a_run_in_two_blocks_is_put_together():
    storage = MemoryStorage()
    runs = LatestRuns(storage, held=0)  # written after each block
    runs.take(concatenate([run("2026-11-20T10:00", [1.0] * 2)]), [])
    second = run("2026-11-20T10:00", [5.0] * 2)
    second.item.values["precipitation"] = second.item.values.pop("temperature_2m")
    runs.take(concatenate([second]), [])
    (found,) = read_one(storage, "munich").runs
    assert [list(series.value) for series in found.series] == [[1.0] * 2, [5.0] * 2]
    assert runs.places == {"munich"}


def test_a_repeat_names_the_same_places():
    storage = MemoryStorage()
    for _ in range(2):
        runs = LatestRuns(storage)
        runs.take(concatenate([NEW]), [])
        runs.write()
        assert runs.places == {"munich"}


def test_an_older_run_names_no_place():
    storage = MemoryStorage()
    written(storage, LATER)
    runs = LatestRuns(storage)
    runs.take(
        concatenate(
            [
                run(
                    "2026-11-20T04:00",
                    [1.0] * 9,
                    raw=names.answers("x", "forecast", NOW + timedelta(hours=1), "1" * 12),
                )
            ]
        ),
        [],
    )
    runs.write()
    assert runs.places == set()


def test_the_wire_form_is_what_protobuf_writes():
    seconds, values = np.arange(300) * 3600, np.linspace(-5, 5, 300)
    made = wire.run(Run(source="s"), {("temperature_2m", 0): [(seconds, values)]})
    plain = Run(source="s")
    plain.series.add(variable="TEMPERATURE_2M", period=0, valid_at=seconds, value=values)
    assert made == plain


def test_latest_is_made_again_from_the_records(runtime, collected, open_meteo):
    answer, body = open_meteo
    collected(answer(body([4.5, 99.0, 6.5]), [MUNICH]))
    (name,) = [one.name for one in runtime.storage.list(names.LATEST)]
    before = runtime.storage.read(name).data
    runtime.storage.delete(name)
    assert rebuild(runtime, now=NOW + timedelta(minutes=1)) == ["munich"]
    assert runtime.storage.read(name).data == before


def test_a_run_that_the_records_do_not_hold_any_more_is_taken_out(runtime, collected, open_meteo):
    answer, body = open_meteo
    done = collected(answer(body([4.5, 6.5]), [MUNICH]))
    runtime.storage.delete(names.forecasts(done.raw, NOW.date()))
    assert rebuild(runtime, now=NOW + timedelta(minutes=1)) == []
    assert not read_one(runtime.storage, "munich").runs


def test_rebuilding_empties_the_object_of_an_older_version(runtime, collected, open_meteo):
    answer, body = open_meteo
    collected(answer(body([4.5, 6.5]), [MUNICH]))
    found = read_one(runtime.storage, "munich")
    (part,) = [one.name for one in runtime.storage.list(names.LATEST)]
    runtime.storage.write("latest/munich.pb", found.SerializeToString(deterministic=True))
    runtime.storage.delete(part)
    assert read_one(runtime.storage, "munich") == found
    assert rebuild(runtime, now=NOW + timedelta(minutes=1)) == ["munich"]
    assert read_one(runtime.storage, "munich") == found
    old = Latest.FromString(runtime.storage.read("latest/munich.pb").data)
    assert old == Latest(place_id="munich")


def test_a_backfill_is_no_run_to_issue_from(runtime, collected, open_meteo):
    answer, body = open_meteo
    done = collected(answer(body([4.5] * 5), [MUNICH]), slot=None)
    assert (done.forecasts, done.latest_places) == (5, [])
    assert rebuild(runtime, now=NOW + timedelta(minutes=1)) == []
