"""Issuing: once per state of the inputs, the ledger first, honest where sources are old or gone."""

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from skyblend.predict.serve import ledger
from skyblend.predict.serve.champions import Champions, Reference
from skyblend.predict.serve.computing import inputs
from skyblend.predict.serve.issue import Issuer, issue, issue_place, publish
from skyblend.protos.v1.api_pb2 import Issued, LedgerSegment
from skyblend.protos.v1.records_pb2 import Latest, Place, Run
from skyblend.runtime import names
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Listed, Stored
from skyblend.runtime.storage.memory import MemoryStorage

RunOf = Callable[..., Run]
Put = Callable[..., None]


def _issued(runtime: Runtime, place: str = "berlin") -> Issued:
    return Issued.FromString(runtime.storage.read(names.issued(place)).data)


def _segment(runtime: Runtime, number: int) -> LedgerSegment:
    return LedgerSegment.FromString(runtime.storage.read(names.ledger(number)).data)


def test_a_place_is_issued_with_the_mean_of_its_sources(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    # Values from 10:00 on, which is past at 10:20.
    # 11:00: (1 + 3) / 2, 12:00: (2 + 6) / 2, 13:00: 5 alone.
    put(berlin, run_of("gfs", [0, 1, 2]), run_of("icon", [9, 3, 6, 5]))
    report = issue(runtime, now=now)
    issued = _issued(runtime)
    (series,) = issued.series
    assert (report.issued, report.segment) == (("berlin",), 1)
    assert [datetime.fromtimestamp(t, UTC).hour for t in series.valid_at] == [11, 12, 13]
    assert list(series.mean) == [2.0, 4.0, 5.0]
    assert list(series.forecasters) == [2, 2, 1]
    assert series.model_id == ""
    assert "default spread" in issued.note
    assert [list(member.value) for member in issued.members] == [[1, 2], [3, 6, 5]]
    assert [source.model for source in issued.sources] == ["gfs", "icon"]


def test_quantiles_rise_around_the_mean(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    put(berlin, run_of("gfs", [0.0] * 30))
    issue(runtime, now=now)
    (series,) = _issued(runtime).series
    rows = [series.quantile[start : start + 19] for start in range(0, len(series.quantile), 19)]
    assert len(rows) == len(series.valid_at) == 29
    assert all(list(row) == sorted(row) for row in rows)
    assert all(row[9] == pytest.approx(mean) for row, mean in zip(rows, series.mean, strict=True))


def test_the_same_inputs_are_issued_once_an_hour(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    put(berlin, run_of("gfs", [0.0] * 30))
    first = issue(runtime, now=now)
    same_hour = issue(runtime, now=now + timedelta(minutes=30))
    next_hour = issue(runtime, now=now + timedelta(minutes=50))
    assert (first.segment, same_hour.segment, next_hour.segment) == (1, 0, 2)
    assert same_hour.unchanged == ("berlin",)
    assert ledger.verify(runtime.storage).segments == 2


def test_the_same_values_received_again_are_the_same_inputs(
    run_of: RunOf, berlin: Place, now: datetime
) -> None:
    first, again, other = run_of("gfs", [1, 2]), run_of("gfs", [1, 2]), run_of("gfs", [1, 2.5])
    again.received_at.FromDatetime(now)
    again.raw = "raw/another"
    hashes = [
        inputs(berlin, Latest(runs=[run]), Champions(), now=now) for run in (first, again, other)
    ]
    assert hashes[0] == hashes[1] != hashes[2]


def test_another_champion_or_place_is_another_input(
    run_of: RunOf, berlin: Place, now: datetime
) -> None:
    latest = Latest(runs=[run_of("gfs", [1, 2])])
    champion = Reference("temperature_2m/0", "m1", "ab", now)
    moved = Place(id="berlin", latitude=52.52, longitude=13.41, elevation=41)
    hashes = {
        inputs(berlin, latest, Champions(), now=now),
        inputs(berlin, latest, Champions({}, {champion.series: champion}), now=now),
        inputs(moved, latest, Champions(), now=now),
        inputs(berlin, latest, Champions(), now=now, simulated=True),
    }
    assert len(hashes) == 4


def test_only_the_named_places_are_issued_and_one_without_runs_waits(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    put(berlin, run_of("gfs", [1, 2, 3]))
    put(Place(id="paris", latitude=48.9, longitude=2.4), run_of("gfs", [1, 2, 3]))
    put(Place(id="rome"))
    assert issue(runtime, now=now, places=["paris", "rome", "nowhere"]).issued == ("paris",)
    report = issue(runtime, now=now)
    assert (report.issued, report.unchanged, report.waiting) == (("berlin",), ("paris",), ("rome",))
    assert [one.place.id for one in _segment(runtime, 2).issued] == ["berlin"]


@pytest.mark.parametrize(
    ("age", "note"),
    [
        (timedelta(days=5), "no model serves temperature_2m/0 yet"),
        (
            timedelta(days=5, hours=1),
            "no fresh source: the newest forecast is of 2026-11-15T09:20Z "
            "(open_meteo/gfs, 121 h old)",
        ),
    ],
)
def test_a_run_older_than_five_days_does_not_count(
    run_of: RunOf, berlin: Place, now: datetime, age: timedelta, note: str
) -> None:
    latest = Latest(runs=[run_of("gfs", [1, 2, 3], issued_at=now - age)])
    assert issue_place(berlin, latest, Champions(), now=now).note.startswith(note)


def test_runs_that_are_past_or_not_known_yet_do_not_count(
    run_of: RunOf, berlin: Place, now: datetime
) -> None:
    past = run_of("gfs", [1, 2, 3], first=now - timedelta(hours=4), issued_at=now - timedelta(1))
    future = run_of("icon", [1, 2, 3], issued_at=now)
    issued = issue_place(berlin, Latest(runs=[past, future]), Champions(), now=now)
    assert len(issued.series) == 0
    assert "no fresh source" in issued.note
    assert "open_meteo/gfs, 24 h old" in issued.note


def test_a_place_without_a_fresh_source_is_issued_so_once_and_not_every_hour(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    put(berlin, run_of("gfs", [1, 2, 3]))
    later = now + timedelta(days=1)
    issue(runtime, now=now)
    segments = [issue(runtime, now=later + timedelta(hours=h)).segment for h in range(3)]
    assert segments == [2, 0, 0]
    assert _issued(runtime).note.startswith("no fresh source")
    assert _issued(runtime).issued_at.ToDatetime(UTC) == later


def test_a_flagged_value_of_a_source_is_missing(
    run_of: RunOf, berlin: Place, now: datetime
) -> None:
    latest = Latest(runs=[run_of("gfs", [0, math.nan, 2]), run_of("icon", [0, 4, 4])])
    (series,) = issue_place(berlin, latest, Champions(), now=now).series
    assert list(series.mean) == [4.0, 3.0]
    assert list(series.forecasters) == [1, 2]


def test_two_periods_are_two_series(run_of: RunOf, berlin: Place, now: datetime) -> None:
    first = datetime(2026, 11, 21, tzinfo=UTC)
    runs = [
        run_of("day", [8], variable="TEMPERATURE_2M_MAX", period=86400, first=first),
        run_of("half", [6], variable="TEMPERATURE_2M_MAX", period=43200, first=first),
    ]
    issued = issue_place(berlin, Latest(runs=runs), Champions(), now=now)
    assert [(s.period, list(s.mean)) for s in issued.series] == [(43200, [6.0]), (86400, [8.0])]


def test_an_older_issue_never_replaces_a_newer(berlin: Place, now: datetime) -> None:
    storage = MemoryStorage()
    old, new = Issued(place=berlin, inputs="old"), Issued(place=berlin, inputs="new")
    old.issued_at.FromDatetime(now)
    new.issued_at.FromDatetime(now + timedelta(seconds=1))
    publish(storage, new)
    publish(storage, old)
    assert Issued.FromString(storage.read(names.issued("berlin")).data).inputs == "new"


def test_a_clock_that_goes_back_issues_nothing(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    put(berlin, run_of("gfs", [1, 2, 3]))
    issue(runtime, now=now)
    assert issue(runtime, now=now - timedelta(hours=2)).unchanged == ("berlin",)
    assert ledger.verify(runtime.storage).segments == 1


class _Killed(Exception):
    """The process ends here."""


class _KilledBefore(MemoryStorage):
    """A bucket whose writer dies when it is about to write an object of this prefix."""

    prefix = ""

    def write(self, name, content, *, if_generation=None):  # type: ignore[no-untyped-def]
        if self.prefix and name.startswith(self.prefix):
            raise _Killed(name)
        return super().write(name, content, if_generation=if_generation)


@pytest.fixture
def mortal(runtime: Runtime) -> Runtime:
    """The runtime on a bucket whose writer can be killed."""
    return replace(runtime, storage=_KilledBefore())


@pytest.mark.parametrize("prefix", [names.LEDGER, names.ISSUED])
def test_a_crash_at_any_write_loses_and_doubles_nothing(
    mortal: Runtime, run_of: RunOf, put_latest: Put, now: datetime, prefix: str
) -> None:
    storage = mortal.storage
    assert isinstance(storage, _KilledBefore)
    storage.write(names.PLACES, b'{"places": [{"id": "berlin"}]}')
    put_latest(storage, "berlin", run_of("gfs", [1, 2, 3]), run_of("icon", [3, 4, 5]))
    storage.prefix = prefix
    with pytest.raises(_Killed):
        issue(mortal, now=now)
    storage.prefix = ""
    issue(mortal, now=now + timedelta(seconds=30))
    issued = _issued(mortal)
    assert ledger.verify(storage).segments == 1
    assert _segment(mortal, 1).issued[0].inputs == issued.inputs
    assert _segment(mortal, 1).issued[0].issued_at == issued.issued_at
    assert [list(member.value) for member in issued.members] == [[2, 3], [4, 5]]


def test_two_processes_issue_the_same_inputs_once(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    """The other process wins the ledger after we computed, and before we wrote."""
    put(berlin, run_of("gfs", [1, 2, 3]))
    inner = runtime.storage

    class Overtaken(MemoryStorage):
        is_overtaken = False

        def write(self, name, content, *, if_generation=None):  # type: ignore[no-untyped-def]
            if name.startswith(names.LEDGER) and not self.is_overtaken:
                self.is_overtaken = True
                issue(_on(runtime, self), now=now)
            return inner.write(name, content, if_generation=if_generation)

        def read(self, name: str) -> Stored:
            return inner.read(name)

        def generation(self, name: str) -> int:
            return inner.generation(name)

        def list(self, prefix: str) -> Iterator[Listed]:
            return inner.list(prefix)

    report = issue(_on(runtime, Overtaken()), now=now)
    assert report.issued == ()
    assert ledger.verify(inner).segments == 1
    assert len(_issued(runtime).series) == 1


def _on(runtime: Runtime, storage: MemoryStorage) -> Runtime:
    return replace(runtime, storage=storage)


def test_one_issuer_goes_on_behind_what_another_wrote(
    runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime
) -> None:
    put(berlin, run_of("gfs", [1, 2, 3]))
    ours = Issuer(runtime)
    assert ours.issue(now=now).segment == 1
    put(berlin, run_of("gfs", [1, 2, 4]))
    assert issue(runtime, now=now).segment == 2
    put(berlin, run_of("gfs", [1, 2, 5]))
    assert ours.issue(now=now).segment == 3
    assert list(_issued(runtime).series[0].mean) == [2.0, 5.0]
    assert ledger.verify(runtime.storage).is_sound
