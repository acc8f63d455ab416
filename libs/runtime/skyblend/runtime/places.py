"""The places that forecasts are made for: `places.json`."""

import json
from collections.abc import Iterable

from google.protobuf.json_format import MessageToDict, ParseDict
from skyblend.protos.place_ids import problem
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage, update


class BadPlace(ValueError):
    """A place that is refused; the text says why."""


def read(storage: Storage) -> dict[str, Place]:
    """The places by id, in order of id."""
    try:
        return _decode(storage.read(names.PLACES).data)
    except Absent:
        return {}


def add(storage: Storage, places: Iterable[Place], *, replace: bool = False) -> list[str]:
    """Add places and give the ids that are new or changed. One that is there stays as it is without
    `replace`, but gets the coordinates, the name and the collecting that it lacks; with `replace`
    it keeps name, position and, at the same position, elevation where they are not given. Raises
    BadPlace, and then nothing is added."""
    given = {place.id: check(place) for place in places}
    changed: list[str] = []

    def change(before: bytes | None) -> bytes | None:
        known = _decode(before) if before else {}
        after = known | {
            id_: _merged(known.get(id_), place, replace) for id_, place in given.items()
        }
        changed[:] = [id_ for id_ in given if known.get(id_) != after[id_]]
        return _encode(after) if changed else None

    update(storage, names.PLACES, change)
    return changed


def check(place: Place) -> Place:
    """The place itself; raises BadPlace for an id or coordinates that cannot be."""
    if (reason := problem(place.id)) is not None:
        raise BadPlace(reason)
    for field, limit in (("latitude", 90), ("longitude", 180), ("elevation", 9000)):
        if place.HasField(field) and not -limit <= getattr(place, field) <= limit:
            got = getattr(place, field)
            raise BadPlace(
                f"place {place.id}: {field} expected from -{limit} to {limit}, got {got}"
            )
    if place.HasField("latitude") != place.HasField("longitude"):
        raise BadPlace(f"place {place.id}: expected latitude and longitude, got one of them")
    if place.collect and not place.HasField("latitude"):
        raise BadPlace(f"place {place.id}: providers cannot be asked for it without coordinates")
    return place


def _merged(known: Place | None, given: Place, replace: bool) -> Place:
    if known is None:
        return given
    if replace:
        return _replaced(known, given)
    merged = Place()
    merged.CopyFrom(known)
    for field in given.DESCRIPTOR.fields:
        if not _has(known, field.name) and _has(given, field.name):
            setattr(merged, field.name, getattr(given, field.name))
    return merged


def _replaced(known: Place, given: Place) -> Place:
    after = Place()
    after.CopyFrom(given)
    after.name = given.name or known.name
    if known.HasField("latitude") and not given.HasField("latitude"):
        after.latitude, after.longitude = known.latitude, known.longitude
    is_there = (after.latitude, after.longitude) == (known.latitude, known.longitude)
    if is_there and known.HasField("elevation") and not given.HasField("elevation"):
        after.elevation = known.elevation
    return after


def _has(place: Place, name: str) -> bool:
    field = place.DESCRIPTOR.fields_by_name[name]
    return place.HasField(name) if field.has_presence else bool(getattr(place, name))


def _decode(content: bytes) -> dict[str, Place]:
    places = [
        ParseDict(one, Place(), ignore_unknown_fields=True) for one in json.loads(content)["places"]
    ]
    return {place.id: place for place in places}


def _encode(places: dict[str, Place]) -> bytes:
    rows = [MessageToDict(places[id_], preserving_proto_field_name=True) for id_ in sorted(places)]
    return json.dumps({"places": rows}, ensure_ascii=False, indent=1).encode()
