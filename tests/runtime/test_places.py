"""places.json: adding, completing, refusing."""

import pytest
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import places
from skyblend.runtime.storage.memory import MemoryStorage

MUNICH = Place(id="munich", latitude=48.14, longitude=11.58, elevation=519, collect=True)


def test_there_are_no_places_at_first() -> None:
    assert places.read(MemoryStorage()) == {}


def test_places_read_back_in_order_of_id() -> None:
    storage = MemoryStorage()
    oslo, zurich = (
        Place(id="oslo", name="Oslo sentrum"),
        Place(id="Zürich", latitude=0, longitude=0),
    )
    assert places.add(storage, [oslo, MUNICH, zurich]) == ["oslo", "munich", "Zürich"]
    assert list(places.read(storage).values()) == [zurich, MUNICH, oslo]
    assert places.read(storage)["Zürich"].HasField("latitude")  # 0 is a latitude
    assert not places.read(storage)["oslo"].HasField("latitude")


def test_the_same_place_again_changes_nothing() -> None:
    storage = MemoryStorage()
    places.add(storage, [MUNICH])
    generation = storage.generation("places.json")
    assert places.add(storage, [MUNICH]) == []
    assert storage.generation("places.json") == generation


def test_a_known_place_gets_what_it_lacks_and_keeps_what_it_has() -> None:
    storage = MemoryStorage()
    places.add(storage, [Place(id="munich", latitude=48.0, longitude=11.0)])
    assert places.add(storage, [MUNICH]) == ["munich"]
    assert places.read(storage)["munich"] == Place(
        id="munich", latitude=48.0, longitude=11.0, elevation=519, collect=True
    )


def test_a_known_place_is_replaced_when_asked() -> None:
    storage = MemoryStorage()
    places.add(storage, [MUNICH])
    moved = Place(id="munich", latitude=48.2, longitude=11.5)
    assert places.add(storage, [moved], replace=True) == ["munich"]
    assert places.read(storage) == {"munich": moved}


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (Place(id="../x"), "dot"),
        (Place(id="a/b"), "slash"),
        (Place(id="x" * 300), "1 to 64 characters, got 300"),
        (Place(id=""), "1 to 64"),
        (Place(id="a", latitude=91, longitude=0), "latitude expected from -90 to 90, got 91"),
        (Place(id="a", latitude=float("nan"), longitude=0), "latitude expected"),
        (Place(id="a", latitude=1, longitude=180.5), "longitude expected"),
        (Place(id="a", latitude=1, longitude=1, elevation=1e6), "elevation expected"),
        (Place(id="a", latitude=1), "expected latitude and longitude, got one"),
        (Place(id="a", collect=True), "without coordinates"),
    ],
)
def test_a_place_that_cannot_be_is_refused_with_all_that_came_with_it(
    place: Place, reason: str
) -> None:
    storage = MemoryStorage()
    with pytest.raises(places.BadPlace, match=reason):
        places.add(storage, [MUNICH, place])
    assert places.read(storage) == {}


def test_fields_of_a_newer_version_are_ignored() -> None:
    storage = MemoryStorage()
    storage.write("places.json", b'{"places": [{"id": "a", "colour": "red"}], "more": 1}')
    assert places.read(storage) == {"a": Place(id="a")}


def test_a_replaced_place_keeps_what_is_not_given_anew() -> None:
    storage = MemoryStorage()
    places.add(storage, [Place(id="u", latitude=48, longitude=10, elevation=478, name="Ulm")])
    for given in (Place(id="u", latitude=48, longitude=10), Place(id="u")):
        assert places.add(storage, [given], replace=True) == []
    places.add(storage, [Place(id="u", latitude=48.5, longitude=10)], replace=True)
    # The old elevation is that of the old position.
    assert places.read(storage)["u"] == Place(id="u", latitude=48.5, longitude=10, name="Ulm")
