"""Issuing from the parts of `latest/`: those of an older version count, those nobody needs go."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from skyblend.predict.serve.issue import Issuer, issue
from skyblend.protos.v1.api_pb2 import Issued
from skyblend.protos.v1.records_pb2 import Latest, Place, Run
from skyblend.runtime import names, places
from skyblend.runtime.latest import parts
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import StorageError
from skyblend.runtime.storage.folder import FolderStorage
from skyblend.runtime.storage.memory import MemoryStorage

RunOf = Callable[..., Run]
FIRST, SECOND = "latest/open_meteo/forecast-1.pb", "latest/open_meteo/forecast-2.pb"


def _put(runtime: Runtime, name: str, *runs: Run, place: str = "berlin") -> None:
    runtime.storage.write(name, parts.encode({place: parts.latest(place, runs)}))


def _mean(runtime: Runtime) -> list[float]:
    content = runtime.storage.read(names.issued("berlin")).data
    return list(Issued.FromString(content).series[0].mean)


def _left(runtime: Runtime) -> list[str]:
    return [one.name for one in runtime.storage.list(names.LATEST)]


@pytest.fixture
def newer(run_of: RunOf, now: datetime) -> Callable[[float], Run]:
    """A run of gfs, the newer the larger its values."""
    return lambda value: run_of(
        "gfs", [value] * 3, issued_at=now - timedelta(hours=12) + timedelta(hours=value)
    )


def test_a_folder_of_an_older_version_is_issued_from_until_newer_runs_are_there(
    runtime: Runtime, berlin: Place, newer: Callable[[float], Run], now: datetime, tmp_path: Path
) -> None:
    runtime = replace(runtime, storage=FolderStorage(tmp_path / "bucket"))
    places.add(runtime.storage, [berlin])
    old = Latest(place_id="berlin", runs=[newer(1.0)])
    runtime.storage.write("latest/berlin.pb", old.SerializeToString(deterministic=True))
    issuer = Issuer(runtime)
    assert issuer.issue(now=now).issued == ("berlin",)
    assert (_mean(runtime), _left(runtime)) == ([1.0, 1.0], ["latest/berlin.pb"])
    _put(runtime, FIRST, newer(2.0))
    assert issuer.issue(now=now).issued == ("berlin",)
    assert (_mean(runtime), _left(runtime)) == ([2.0, 2.0], [FIRST])
    assert issuer.issue(now=now).unchanged == ("berlin",)


def test_a_cycle_over_all_places_removes_superseded_parts_and_one_over_some_does_not(
    runtime: Runtime, berlin: Place, newer: Callable[[float], Run], now: datetime
) -> None:
    places.add(runtime.storage, [berlin])
    _put(runtime, FIRST, newer(1.0))
    _put(runtime, SECOND, newer(2.0))
    issuer = Issuer(runtime)
    assert issuer.issue(now=now, places=["berlin"]).issued == ("berlin",)
    assert _left(runtime) == [FIRST, SECOND]
    assert issuer.issue(now=now).unchanged == ("berlin",)
    assert _left(runtime) == [SECOND]
    assert issuer.issue(now=now).unchanged == ("berlin",)


class _Keeping(MemoryStorage):
    """A bucket in which this service may remove nothing."""

    def delete(self, name: str, *, if_generation: int | None = None) -> None:
        raise StorageError(name, "forbidden")


def test_where_the_bucket_refuses_to_remove_all_is_issued(
    runtime: Runtime,
    berlin: Place,
    newer: Callable[[float], Run],
    now: datetime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    runtime = replace(runtime, storage=_Keeping())
    places.add(runtime.storage, [berlin])
    _put(runtime, FIRST, newer(1.0))
    _put(runtime, SECOND, newer(2.0))
    assert issue(runtime, now=now).issued == ("berlin",)
    assert _left(runtime) == [FIRST, SECOND]
    assert "stale parts of latest/ stay: latest/open_meteo/forecast-1.pb: forbidden" in caplog.text
    assert issue(runtime, now=now).unchanged == ("berlin",)


def test_a_place_whose_last_run_is_of_yesterday_says_so_and_keeps_its_part(
    runtime: Runtime, berlin: Place, newer: Callable[[float], Run], now: datetime
) -> None:
    places.add(runtime.storage, [berlin])
    _put(runtime, FIRST, newer(1.0))
    issuer = Issuer(runtime)
    for days in (1, 5):
        issuer.issue(now=now + timedelta(days=days))
        issued = Issued.FromString(runtime.storage.read(names.issued("berlin")).data)
        assert issued.note.startswith("no fresh source: the newest forecast is of 2026-11-19T23:20")
    assert _left(runtime) == [FIRST]
    assert issuer.issue(now=now + timedelta(days=20)).unchanged == ("berlin",)
    assert _left(runtime) == []
    assert issuer.issue(now=now + timedelta(days=20)).waiting == ("berlin",)
