"""`GET /v1/forecast` from a query string to bytes, which are kept for the next request with the
same query.

Kept bytes are good as long as the objects they were made of are at the same generation and the
quarter of an hour is the same: days begin, in every zone, at a quarter.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus
from typing import Final

import numpy as np
import orjson
from skyblend.predict.serve.answer import Json, answer
from skyblend.predict.serve.query import Point, Query, read
from skyblend.predict.serve.reading import BadQuery
from skyblend.predict.serve.watch import LOOK_EVERY, Watch
from skyblend.protos.place_ids import problem
from skyblend.protos.v1.api_pb2 import Issued
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names, places
from skyblend.runtime.storage import Storage
from skyblend.weather import stations

QUARTER: Final = 900  # seconds
MOST_ANSWERS: Final = 1000
MOST_BYTES: Final = 64 << 20


class NoForecast(Exception):
    """There is nothing to answer with; `status` is 404 for an unknown place, 503 where nothing is
    issued yet."""

    def __init__(self, status: HTTPStatus, reason: str) -> None:
        super().__init__(reason)
        self.status = status


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as bytes. `made_of` are objects and their generations; `until` is when the clock
    makes it stale; `looked` is the last look at the objects (seconds of the monotonic clock)."""

    status: HTTPStatus
    body: bytes
    etag: str
    made_of: tuple[tuple[str, int], ...]
    until: float
    looked: float


class Forecasts:
    """Answers to queries, at most MOST_ANSWERS and MOST_BYTES of them kept."""

    def __init__(
        self,
        storage: Storage,
        *,
        nearest_km: float,
        now: Callable[[], datetime],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage, self._nearest_km, self._now, self._clock = storage, nearest_km, now, clock
        self.places = Watch(storage, lambda _: places.read(storage), clock=clock)
        self.issued = Watch(storage, Issued.FromString, clock=clock)
        self._answers: dict[str, Answer] = {}
        self._bytes = 0
        self._keeping = threading.Lock()

    def get(self, query_string: str) -> Answer:
        """The answer to a query string, good or bad."""
        looked, now = self._clock(), self._now()
        kept = self._answers.get(query_string)
        if kept is not None and now.timestamp() < kept.until:
            if looked - kept.looked < LOOK_EVERY:
                return kept
            if all(self._storage.generation(name) == was for name, was in kept.made_of):
                return self._keep(query_string, replace(kept, looked=looked))
            self.forget()
        return self._keep(query_string, self._make(query_string, now, looked))

    def forget(self) -> None:
        """Look at every object again: something was issued."""
        with self._keeping:
            self._answers.clear()
            self._bytes = 0
        self.places.forget()
        self.issued.forget()

    def _make(self, query_string: str, now: datetime, looked: float) -> Answer:
        started = time.perf_counter()
        made_of: dict[str, int] = {}
        status, content = self._content(query_string, now, made_of)
        etag = hashlib.sha256(orjson.dumps(content)).hexdigest()[:32]
        spent = (time.perf_counter() - started) * 1000
        for one in content if isinstance(content, list) else [content]:
            if "generationtime_ms" in one:
                one["generationtime_ms"] = spent
        until = (now.timestamp() // QUARTER + 1) * QUARTER
        body = orjson.dumps(content)
        return Answer(status, body, f'W/"{etag}"', tuple(made_of.items()), until, looked)

    def _content(
        self, query_string: str, now: datetime, made_of: dict[str, int]
    ) -> tuple[HTTPStatus, Json | list[Json]]:
        try:
            query = read(query_string)
            answers = [self._at(query, point, now, made_of) for point in _points(query)]
        except BadQuery as error:
            return HTTPStatus.BAD_REQUEST, {"error": True, "reason": str(error)}
        except NoForecast as error:
            return error.status, {"error": True, "reason": str(error)}
        return HTTPStatus.OK, answers if query.is_list else answers[0]

    def _at(
        self, query: Query, point: Point | None, now: datetime, made_of: dict[str, int]
    ) -> Json:
        seen = self.places.get(names.PLACES)
        made_of[names.PLACES] = seen.generation
        known = seen.value or {}
        choices = (
            [(_named(known, query.place), 0.0)]
            if point is None
            else nearest(known, point, within_km=self._nearest_km)
        )
        place, distance, issued = self._served(choices, made_of)
        at = point or Point(place.latitude, place.longitude)
        return answer(issued, query, point=at, distance_km=distance, now=now)

    def _served(
        self, choices: Sequence[tuple[Place, float]], made_of: dict[str, int]
    ) -> tuple[Place, float, Issued]:
        """The nearest place with a forecast, else the nearest that was issued, be it empty: a place
        that is added beside a served one does not take its address before it is served itself."""
        empty: tuple[Place, float, Issued] | None = None
        for place, distance in choices:
            seen = self.issued.get(names.issued(place.id))
            made_of[names.issued(place.id)] = seen.generation
            if seen.value is not None and seen.value.series:
                return place, distance, seen.value
            if seen.value is not None and empty is None:
                empty = place, distance, seen.value
        if empty is not None:
            return empty
        raise NoForecast(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"no forecast has been issued yet for {choices[0][0].id}",
        )

    def _keep(self, query_string: str, made: Answer) -> Answer:
        with self._keeping:
            if (before := self._answers.pop(query_string, None)) is not None:
                self._bytes -= len(before.body)
            self._answers[query_string] = made
            self._bytes += len(made.body)
            while len(self._answers) > MOST_ANSWERS or self._bytes > MOST_BYTES:
                oldest = next(iter(self._answers))
                self._bytes -= len(self._answers.pop(oldest).body)
        return made


def _points(query: Query) -> Sequence[Point | None]:
    return query.points or (None,)


def _named(known: dict[str, Place], place_id: str) -> Place:
    if place_id not in known:
        reason = problem(place_id) or (
            f"no place {place_id!r}; add it: skyblend places add {place_id} --lat LAT --lon LON"
        )
        raise NoForecast(HTTPStatus.NOT_FOUND, reason)
    return known[place_id]


def nearest(
    known: dict[str, Place], point: Point, *, within_km: float
) -> list[tuple[Place, float]]:
    """The configured places around a point with their distances in km, the nearest first;
    NoForecast where none is within `within_km`."""
    placed = [place for place in known.values() if place.HasField("latitude")]
    away = stations.distance_km(
        point.latitude,
        point.longitude,
        np.array([place.latitude for place in placed]),
        np.array([place.longitude for place in placed]),
    )
    order = np.argsort(away, kind="stable")
    around = [(placed[i], float(away[i])) for i in order if away[i] <= within_km]
    if around:
        return around
    near = (
        f"the nearest, {placed[order[0]].id}, is {away[order[0]]:.0f} km away"
        if placed
        else "none has coordinates"
    )
    raise NoForecast(
        HTTPStatus.NOT_FOUND,
        f"no place within {within_km:g} km of {point.latitude:g}, {point.longitude:g} ({near}); "
        f"add one: skyblend places add ID --lat {point.latitude:g} --lon {point.longitude:g}",
    )
