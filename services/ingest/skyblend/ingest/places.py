"""Places that providers are asked for, as far as their quotas allow."""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import cast

from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime import places as known_places
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Storage
from skyblend.sources.contract import Source
from skyblend.sources.registry import SOURCES

# Calls a day without a key, where the provider states a bound; SKYBLEND_<SOURCE>_DAILY_LIMIT says
# otherwise. Open-Meteo: 10,000 a day, 2026.
DAILY_LIMITS = {"open_meteo": 10_000}
_DAY = timedelta(days=1)
_ANY_SLOT = datetime(2000, 1, 1, tzinfo=UTC)


class OverQuota(ValueError):
    """More places than a provider answers for in a day; nothing is added."""

    def __init__(self, source: str, *, places: int, calls: float, limit: int) -> None:
        super().__init__(
            f"{source}: {places} places count as {calls:,.0f} calls a day, the limit is {limit:,} "
            f"(SKYBLEND_{source.upper()}_DAILY_LIMIT); about {int(places * limit / calls):,} fit"
        )
        self.source, self.calls, self.limit = source, calls, limit


def add(
    runtime: Runtime,
    places: Iterable[Place],
    *,
    replace: bool = False,
    sources: Mapping[str, Source] = SOURCES,
) -> list[str]:
    """Add places and give the ids that are new or changed. Raises BadPlace and OverQuota, and then
    nothing is added."""
    given = [known_places.check(place) for place in places]
    if any(place.collect for place in given):
        after = known_places.read(runtime.storage) | {place.id: place for place in given}
        _check_quotas(runtime, [place for place in after.values() if place.collect], sources)
    return known_places.add(runtime.storage, given, replace=replace)


def collected(storage: Storage) -> Mapping[str, Place]:
    """The places that providers are asked for, by id; read again only where they changed."""
    return _collected(cast(Hashable, storage), storage.generation(names.PLACES))


@lru_cache(maxsize=1)
def _collected(storage: Storage, generation: int) -> Mapping[str, Place]:
    return {id_: one for id_, one in known_places.read(storage).items() if one.collect}


def daily_calls(source: Source, places: Sequence[Place], *, options: Mapping[str, str]) -> float:
    """What the scheduled requests of a day for these places count as; back-fills, which are made
    once for each place, are not in it."""
    return sum(
        call.weight * (_DAY / schedule.every)
        for schedule in source.schedules
        if schedule.every is not None
        for i in range(0, len(places), schedule.batch)
        for call in source.requests(
            schedule.endpoint, places[i : i + schedule.batch], slot=_ANY_SLOT, options=options
        )
    )


def _check_quotas(runtime: Runtime, places: Sequence[Place], sources: Mapping[str, Source]) -> None:
    for source in sources.values():
        options = runtime.settings.source_options(source.name)
        limit = _limit(source.name, options)
        if limit is None or not source.schedules:
            continue
        calls = daily_calls(source, places, options=options)
        if calls > limit:
            raise OverQuota(source.name, places=len(places), calls=calls, limit=limit)


def _limit(source: str, options: Mapping[str, str]) -> int | None:
    given = options.get("daily_limit")
    return int(given) if given else DAILY_LIMITS.get(source)
