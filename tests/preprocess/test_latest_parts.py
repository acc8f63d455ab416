"""A raw object's runs are one write, and what is read from all parts is what one object for each
place would hold, whatever the order of arrival."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from skyblend.preprocess.latest import LatestRuns, after
from skyblend.preprocess.rows import Piece, concatenate
from skyblend.protos.v1.records_pb2 import Latest
from skyblend.runtime import names
from skyblend.runtime.latest import parts
from skyblend.runtime.latest.reader import LatestReader, read_one
from skyblend.runtime.storage.memory import MemoryStorage
from skyblend.sources.contract import Forecasts

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
PLACES = ("athens", "berlin", "cork")
THREE = [(place, 48.1, 11.6) for place in PLACES]
Raw = tuple[str, list[list[Piece]]]  # name, and the blocks of a raw object


def of_latest(storage: MemoryStorage) -> list[str]:
    return [one.name for one in storage.list(names.LATEST)]


def test_a_raw_object_is_one_write_to_the_part_of_its_task(runtime, collected, open_meteo) -> None:
    answer, body = open_meteo
    answers = [answer(body([4.5, 6.5]), [one]) for one in THREE]
    first = collected(*answers, number=7)
    assert first.latest_places == sorted(PLACES)
    assert of_latest(runtime.storage) == ["latest/open_meteo/forecast-000000000007.pb"]
    later = [
        answer(body([5.5, 7.5]), [one], received_at=NOW + timedelta(minutes=30)) for one in THREE
    ]
    collected(*later, slot=NOW + HOUR, number=7)
    assert len(of_latest(runtime.storage)) == 1
    found = dict(LatestReader(runtime.storage).read(PLACES))
    assert [list(found[place].runs[0].series[0].value) for place in PLACES] == [[5.5, 7.5]] * 3


def test_an_answer_that_is_refused_leaves_the_run_of_its_place(
    runtime, collected, open_meteo
) -> None:
    answer, body = open_meteo
    collected(*(answer(body([4.5, 6.5]), [one]) for one in THREE))
    good = answer(body([5.5, 7.5]), THREE[:1], received_at=NOW + timedelta(minutes=30))
    done = collected(good, answer(b"<html>", THREE[1:2]), slot=NOW + HOUR)
    assert done.latest_places == ["athens"]
    found = [read_one(runtime.storage, place) for place in PLACES]
    assert [one.runs[0].series[0].value[0] for one in found] == [5.5, 4.5, 4.5]


def test_what_is_too_much_for_one_write_is_several_parts_of_one_run() -> None:
    storage = MemoryStorage()
    raw = names.answers("x", "forecast", NOW, "1" * 12)
    blocks = [[piece(raw, 0, variable=name)] for name in ("temperature_2m", "dew_point_2m")]
    take(storage, (raw, blocks), held=0)
    assert of_latest(storage) == [
        "latest/x/forecast-111111111111.pb",
        "latest/x/forecast-111111111111_001.pb",
    ]
    whole = MemoryStorage()
    take(whole, (raw, blocks), held=None)
    assert read_one(storage, "athens") == read_one(whole, "athens")
    assert len(read_one(storage, "athens").runs[0].series) == 2


def piece(
    raw: str,
    received: int,
    *,
    place: str = "athens",
    model: str = "a",
    age: tuple[int, int] = (0, 0),
    variable: str = "temperature_2m",
) -> Piece:
    """A run of two hours, received so many minutes after NOW; `age` in hours, of its issue and of
    when it was known."""
    now = np.datetime64(NOW.replace(tzinfo=None), "us")
    issued, known = (now + np.timedelta64(step, "h") for step in age)
    item = Forecasts(
        source="s",
        model=model,
        place_id=place,
        issued_at=issued,
        valid_at=now + np.array([20, 21]) * np.timedelta64(1, "h"),
        period=0,
        known_at=known,
        values={variable: np.array([received, age[0]], float)},
    )
    return Piece(item, raw, now + np.timedelta64(received, "m"), live=True)


def take(storage: MemoryStorage, raw: Raw, *, held: int | None) -> None:
    runs = LatestRuns(storage, held=held)
    for block in raw[1]:
        runs.take(concatenate(block), [])
    runs.write()


def made_up(rng: np.random.Generator) -> Iterator[Raw]:
    """Raw objects of four tasks in some slots, and of uploads; runs of few ages, so that many are
    of one and the same."""
    for number in range(int(rng.integers(2, 12))):
        name = names.upload(f"{number:064x}")
        if rng.random() < 0.7:
            slot = NOW + HOUR * number
            name = names.answers("s", "forecast", slot, f"{rng.integers(4):012x}")
        blocks = [
            [
                piece(name, number, place=place, model=model, age=age, variable=variable)
                for place in rng.permutation(PLACES)[: int(rng.integers(1, 4))]
                for model in rng.permutation(["a", "b"])[: int(rng.integers(1, 3))]
            ]
            for variable in rng.permutation(["temperature_2m", "dew_point_2m"])[: rng.integers(3)]
            for age in [tuple(int(step) for step in rng.integers(-1, 2, 2))]
        ]
        yield name, blocks


def by_place(raws: Sequence[Raw]) -> Mapping[str, bytes]:
    """One object for each place, to which the runs of each raw object are added."""
    found: dict[str, bytes] = {}
    for raw in raws:
        runs = LatestRuns(MemoryStorage(), held=None)
        for block in raw[1]:
            runs.take(concatenate(block), [])
        for places in runs.messages().values():
            for place, new in places.items():
                found[place] = parts.latest(place, after(found.get(place), new))
    return found


@pytest.mark.parametrize("seed", range(30))
def test_what_all_parts_tell_is_what_one_object_for_each_place_holds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    raws = [*made_up(rng)]
    storage = MemoryStorage()
    order = [*rng.permutation(len(raws)), *rng.integers(0, len(raws), 3)]
    for number in order:
        take(storage, raws[number], held=[0, None][int(rng.integers(2))])
    expected = by_place(raws)
    reader = LatestReader(storage, held=int(rng.integers(2000)), together=int(rng.integers(2000)))
    for _ in range(2):
        found = {place: latest for place, latest in reader.read(PLACES) if latest is not None}
        assert {
            place: latest.SerializeToString(deterministic=True) for place, latest in found.items()
        } == expected
        reader.remove_stale(now=NOW)  # nothing of what is told goes with it
    assert all(isinstance(latest, Latest) for latest in found.values())
