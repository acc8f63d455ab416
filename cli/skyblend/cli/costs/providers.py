"""What providers give for nothing, and how large their answers are: data that changes, with where
it is from."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

DAY, MONTH = 24.0, 730.5  # hours
# Rounds that people and models keep to, in hours.
_ROUNDS = (1, 2, 3, 4, 6, 8, 12, 24, 48, 72, 96, 120, 168, 240, 336, 730)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quota:
    """So many calls in so many hours."""

    calls: float
    hours: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """A free plan: `weight` is what asking for one place once counts as, `extra` what its further
    endpoints count as in a day of hourly rounds. Bytes and values are those of one place's answer;
    `models` are forecasters in it."""

    name: str
    batch: int = 1
    weight: float = 1.0
    extra: float = 0.0
    quotas: tuple[Quota, ...] = ()
    values: int
    raw_bytes: int
    rows: int  # of records that an answer becomes
    note: str = ""
    is_here: bool = False  # whether this version can ask it

    def calls(self, places: int) -> int:
        """Requests of a round."""
        return math.ceil(places / self.batch)

    def weighted(self, places: int, every: float) -> float:
        """Calls that a day of rounds counts as."""
        return places * (self.weight * DAY / every + self.extra / every)

    def daily(self) -> float:
        """The quota as calls of a day; infinite where none is published."""
        return min((one.calls * DAY / one.hours for one in self.quotas), default=math.inf)

    def reached(self, places: int, wished: float) -> float:
        """The shortest round in hours, not shorter than wished, that the quota allows."""
        rounds = sorted({wished, *(float(one) for one in _ROUNDS if one >= wished)})
        fits = (one for one in rounds if self.weighted(places, one) <= self.daily())
        return next(fits, math.inf)


def _per(calls: float, hours: float) -> tuple[Quota, ...]:
    return (Quota(calls=calls, hours=hours),)


def open_meteo(models: int) -> Provider:
    """Open-Meteo as this version asks it: by the source's own requests and weights."""
    from skyblend.ingest.places import DAILY_LIMITS, daily_calls
    from skyblend.protos.v1.records_pb2 import Place
    from skyblend.sources.open_meteo import DAILY, FORECAST_DAYS, HOURLY, MODELS
    from skyblend.sources.open_meteo import open_meteo as source

    options = {"models": ",".join(MODELS[:models])}
    sample = Place(id="sample", latitude=0, longitude=0)
    weight = models * (len(HOURLY) + len(DAILY)) / 10
    whole = daily_calls(source, [sample], options=options)
    values = models * FORECAST_DAYS * (len(HOURLY) * 24 + len(DAILY))
    return Provider(
        name="open_meteo",
        batch=source.schedules[0].batch,
        weight=max(1.0, weight),
        extra=whole - max(1.0, weight) * DAY,
        quotas=_per(DAILY_LIMITS["open_meteo"], DAY),
        values=values,
        raw_bytes=round(3_700 + 4.77 * values),
        rows=models * FORECAST_DAYS * (24 * 2 + 1),
        note=f"{models} models; with the archive every 6 rounds",
        is_here=True,
    )


# Sizes are of recorded answers; quotas are as the providers' pages said in 2026.
OTHERS = (
    Provider(
        name="met_norway",
        quotas=_per(20 * 3600, 1),
        values=1_000,
        raw_bytes=60_000,
        rows=180,
        note="20 requests/s",
    ),
    Provider(
        name="openweathermap",
        quotas=(*_per(1_000_000, MONTH), *_per(3_600, 1)),
        values=400,
        raw_bytes=16_000,
        rows=80,
        note="60 a minute, 1,000,000 a month",
    ),
    Provider(
        name="nws",
        values=2_500,
        raw_bytes=170_000,
        rows=400,
        note="none published; US only",
    ),
    Provider(
        name="bright_sky",
        values=3_600,
        raw_bytes=90_000,
        rows=480,
        note="none published; DWD's places",
    ),
    Provider(
        name="weatherapi",
        quotas=_per(100_000, MONTH),
        values=1_000,
        raw_bytes=60_000,
        rows=150,
        note="100,000 a month",
    ),
    Provider(
        name="pirate_weather",
        quotas=_per(10_000, MONTH),
        values=2_500,
        raw_bytes=70_000,
        rows=340,
        note="10,000 a month",
    ),
    Provider(
        name="tomorrow_io",
        quotas=(*_per(500, DAY), *_per(25, 1)),
        values=2_000,
        raw_bytes=100_000,
        rows=240,
        note="500 a day",
    ),
)


def providers(count: int, *, models: int) -> tuple[Provider, ...]:
    """The first `count` of the table. Raises ValueError for more than there are."""
    known = (open_meteo(models), *OTHERS)
    if not 1 <= count <= len(known):
        raise ValueError(f"--sources: expected 1 to {len(known)}, got {count}")
    return known[:count]


def without_quotas(given: Iterable[Provider]) -> tuple[Provider, ...]:
    """The same for somebody who pays each provider."""
    return tuple(replace(one, quotas=()) for one in given)
