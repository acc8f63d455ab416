"""The newest runs of places from all parts of `latest/`: few reads, and no part for ever."""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import BinaryIO

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from skyblend.protos.v1.records_pb2 import Latest, LatestPart, Run
from skyblend.runtime import names
from skyblend.runtime.latest import parts
from skyblend.runtime.latest.reader import PAST, LatestReader, read_one
from skyblend.runtime.storage import Stored
from skyblend.runtime.storage.memory import MemoryStorage

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST, SECOND = "latest/s/forecast-1.pb", "latest/s/forecast-2.pb"


class Counting(MemoryStorage):
    """Counts what is read, by name; `meanwhile` happens before one of the next readings."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.opens: Counter[str] = Counter()
        self.meanwhile: list[Callable[[], None]] = []

    def read(self, name: str) -> Stored:
        if self.meanwhile:
            self.meanwhile.pop(0)()
        self.reads[name] += 1
        return super().read(name)

    def open(self, name: str) -> BinaryIO:
        self.opens[name] += 1
        stream = super().open(name)
        self.reads[name] -= 1  # which the stream is made of
        return stream


def run(hour: int = 0, *, model: str = "a", hours: int = 2) -> Run:
    """A run issued so many hours after NOW, for some hours from then on."""
    issued = NOW + hour * HOUR
    made = Run(source="s", model=model, raw=f"raw/{hour}")
    for time in (made.issued_at, made.known_at, made.received_at):
        time.FromDatetime(issued)
    first = int(issued.timestamp())
    valid_at = [first + 3600 * step for step in range(hours)]
    made.series.add(valid_at=valid_at, value=[float(hour)] * hours)
    return made


def put(storage: MemoryStorage, name: str, *places: str, runs: tuple[Run, ...]) -> None:
    storage.write(name, parts.encode({place: parts.latest(place, runs) for place in places}))


def put_old(storage: MemoryStorage, place: str, *runs: Run) -> str:
    """As versions before the parts wrote it."""
    name = f"latest/{place}.pb"
    storage.write(name, Latest(place_id=place, runs=runs).SerializeToString(deterministic=True))
    return name


def told(storage: MemoryStorage, place: str = "oslo") -> list[float]:
    """The first value of each run."""
    latest = read_one(storage, place)
    return [one.series[0].value[0] for one in latest.runs] if latest else []


def left(storage: MemoryStorage) -> list[str]:
    return [one.name for one in storage.list(names.LATEST)]


def cleaned(storage: MemoryStorage, *places: str, now: datetime = NOW) -> list[str]:
    """What is removed after all places were read."""
    reader = LatestReader(storage)
    assert len([*reader.read(places)]) == len(places)
    return reader.remove_stale(now=now)


@settings(deadline=None)
@given(st.dictionaries(st.text(min_size=1, max_size=64), st.binary(max_size=300)))
def test_a_part_is_what_protobuf_reads(contents: dict[str, bytes]) -> None:
    some = {place: Latest(place_id=str(content)) for place, content in contents.items()}
    part = parts.encode({place: latest.SerializeToString() for place, latest in some.items()})
    decoded = LatestPart.FromString(part)
    assert dict(zip(decoded.place_id, decoded.latest, strict=True)) == some
    assert {
        place: Latest.FromString(bytes(content))
        for place, content in parts.contents(FIRST, part).items()
    } == some


def test_a_latest_is_what_protobuf_writes() -> None:
    made = Latest(place_id="oslo", runs=[run(), run(model="b")])
    assert parts.latest("oslo", made.runs) == made.SerializeToString(deterministic=True)


@pytest.mark.parametrize("cut", [1, 30, 300])
def test_a_part_that_is_cut_off_is_refused(cut: int) -> None:
    part = parts.encode({place: parts.latest(place, [run()] * 3) for place in ("oslo", "rome")})
    with pytest.raises(DecodeError, match=r"a part of 2 places|expected a field"):
        parts.contents(FIRST, part[:-cut])


def test_the_newest_of_each_forecaster_is_told_over_all_parts() -> None:
    storage = MemoryStorage()
    put(storage, FIRST, "oslo", runs=(run(1), run(0, model="b")))
    put(storage, SECOND, "oslo", "rome", runs=(run(0), run(2, model="b"), run(3, model="c")))
    assert told(storage) == [1.0, 2.0, 3.0]
    assert told(storage, "rome") == [0.0, 2.0, 3.0]
    assert read_one(storage, "nowhere") is None


def test_an_object_of_an_older_version_counts_until_there_is_a_newer_run() -> None:
    storage = MemoryStorage()
    old = put_old(storage, "São Paulo".replace(" ", "%20").replace("ã", "%C3%A3"), run(1))
    assert told(storage, "São Paulo") == [1.0]
    put(storage, FIRST, "São Paulo", runs=(run(0), run(0, model="b")))
    assert told(storage, "São Paulo") == [1.0, 0.0]
    assert cleaned(storage, "São Paulo") == []
    put(storage, SECOND, "São Paulo", runs=(run(2),))
    assert told(storage, "São Paulo") == [2.0, 0.0]
    assert cleaned(storage, "São Paulo") == [old]
    assert told(storage, "São Paulo") == [2.0, 0.0]


def neighbours(storage: MemoryStorage) -> list[str]:
    """300 places, in tasks of 20 from one source and of 25 from another."""
    places = [f"place-{number:03}" for number in range(300)]
    for source, together in (("s", 20), ("t", 25)):
        for at in range(0, len(places), together):
            made = tuple(run(at, model=source) for _ in range(1))
            put(storage, f"latest/{source}/a-{at}.pb", *places[at : at + together], runs=made)
    return places


def test_a_cycle_over_all_places_reads_a_part_twice_at_most() -> None:
    storage = Counting()
    places = neighbours(storage)
    size = sum(one.size for one in storage.list(names.LATEST))
    reader = LatestReader(storage, held=size // 10, together=size // 6)
    for opened in (1, 0):
        storage.reads.clear()
        storage.opens.clear()
        assert all(latest and len(latest.runs) == 2 for _, latest in reader.read(places))
        assert max(storage.reads.values()) <= 2
        assert max(storage.opens.values(), default=0) == opened  # only the beginnings


def test_only_what_changed_is_read_again_where_there_is_room() -> None:
    storage = Counting()
    places = neighbours(storage)
    reader = LatestReader(storage)
    assert len([*reader.read(places)]) == 300
    assert set(storage.reads.values()) == {1}
    storage.reads.clear()
    put(storage, "latest/t/a-0.pb", *places[:26], runs=(run(99, model="t"),))
    found = dict(reader.read(places))
    assert storage.reads == {"latest/t/a-0.pb": 1}
    assert found[places[25]].runs[1].issued_at.ToDatetime(UTC) == NOW + 99 * HOUR


def test_only_parts_of_the_places_are_read() -> None:
    storage = Counting()
    places = neighbours(storage)
    reader = LatestReader(storage, held=0)
    assert len([*reader.read(places[20:25])]) == 5
    assert {name for name, count in storage.reads.items() if count} == {
        "latest/s/a-20.pb",
        "latest/t/a-0.pb",
    }


@pytest.mark.parametrize("reading", [0, 1])
def test_where_a_part_goes_meanwhile_the_newer_one_is_found(reading: int) -> None:
    """Before its beginning is read, or before the rest."""
    storage = Counting()
    put(storage, FIRST, "oslo", runs=(run(0),))
    reader = LatestReader(storage, held=0)

    def replaced() -> None:
        put(storage, SECOND, "oslo", runs=(run(1),))
        storage.delete(FIRST)

    storage.meanwhile = [*[lambda: None] * reading, replaced]
    ((_, latest),) = reader.read(["oslo"])
    assert latest is not None
    assert [one.raw for one in latest.runs] == ["raw/1"]


def test_a_part_whose_runs_are_all_superseded_is_removed() -> None:
    storage = MemoryStorage()
    put(storage, FIRST, "oslo", "rome", runs=(run(0), run(0, model="b")))
    put(storage, SECOND, "oslo", "rome", runs=(run(1),))
    assert cleaned(storage, "oslo", "rome") == []  # b is the newest of its forecaster
    put(storage, SECOND, "oslo", "rome", runs=(run(1), run(1, model="b")))
    assert cleaned(storage, "oslo", "rome") == [FIRST]
    assert left(storage) == [SECOND]


def test_a_part_that_a_place_needs_of_which_nobody_asks_stays() -> None:
    storage = MemoryStorage()
    put(storage, FIRST, "oslo", "rome", runs=(run(0),))
    put(storage, SECOND, "oslo", runs=(run(1),))
    assert cleaned(storage, "oslo") == []
    assert cleaned(storage) == []
    put(storage, SECOND, "oslo", "rome", runs=(run(1),))
    assert cleaned(storage, "oslo") == [FIRST]


def test_a_part_of_long_ago_is_removed_and_one_of_yesterday_tells_that_it_is_old() -> None:
    storage = MemoryStorage()
    put(storage, FIRST, "oslo", runs=(run(0, hours=2),))  # the last hour is NOW + 1 h
    assert cleaned(storage, "oslo", now=NOW + HOUR + PAST) == []
    assert cleaned(storage, "oslo", now=NOW + HOUR + PAST + timedelta(seconds=1)) == [FIRST]
    assert told(storage) == []


def test_an_empty_part_is_removed_after_its_places_were_read_as_empty() -> None:
    storage = MemoryStorage()
    put(storage, FIRST, "oslo", runs=())
    latest = read_one(storage, "oslo")
    assert latest is not None
    assert not latest.runs
    assert cleaned(storage, "oslo") == [FIRST]


def test_a_part_that_a_writer_replaces_meanwhile_stays() -> None:
    storage = MemoryStorage()
    put(storage, FIRST, "oslo", runs=(run(0),))
    put(storage, SECOND, "oslo", runs=(run(1),))
    reader = LatestReader(storage)
    assert len([*reader.read(["oslo"])]) == 1
    put(storage, FIRST, "oslo", runs=(run(2),))
    reader.remove_stale(now=NOW)
    assert told(storage) == [2.0]
    assert cleaned(storage, "oslo") == [SECOND]


def test_two_that_clean_at_once_do_no_harm() -> None:
    storage = MemoryStorage()
    put(storage, FIRST, "oslo", runs=(run(0),))
    put(storage, SECOND, "oslo", runs=(run(1),))
    readers = [LatestReader(storage) for _ in range(2)]
    for reader in readers:
        assert len([*reader.read(["oslo"])]) == 1
    for reader in readers:
        reader.remove_stale(now=NOW)
    assert left(storage) == [SECOND]
    assert told(storage) == [1.0]


def test_what_is_kept_in_memory_is_bounded() -> None:
    storage = Counting()
    places = neighbours(storage)
    sizes = {one.name: one.size for one in storage.list(names.LATEST)}
    reader = LatestReader(storage, held=sum(sizes.values()) // 3)
    assert len([*reader.read(places)]) == 300
    storage.reads.clear()
    assert len([*reader.read(places)]) == 300
    kept = sum(size for name, size in sizes.items() if not storage.reads[name])
    assert sum(sizes.values()) / 4 < kept <= sum(sizes.values()) / 3
