"""Ids of places in the names of objects: reversible, and short enough for every file system."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyblend.protos.place_ids import from_object_part, object_part, problem
from skyblend.runtime import names
from skyblend.runtime.storage.memory import MemoryStorage

IDS = st.text(min_size=1, max_size=64).filter(lambda text: problem(text) is None)


@pytest.mark.parametrize(
    "place_id", ["Berlin", "München", "a%2Fb", "東" * 64, "a." * 32, "😀" * 64]
)
def test_an_id_stands_in_the_names_of_objects(place_id: str) -> None:
    storage = MemoryStorage()
    storage.write(names.issued(place_id), b"x")
    (listed,) = storage.list(names.ISSUED)
    part = listed.name.removeprefix(names.ISSUED).removesuffix(".pb")
    assert from_object_part(part) == place_id
    assert names.latest_place(listed.name.replace(names.ISSUED, names.LATEST)) == place_id


@given(IDS)
def test_every_id_comes_back(place_id: str) -> None:
    part = object_part(place_id)
    assert from_object_part(part) == place_id
    assert all(len(piece) <= 204 and not piece.startswith(".") for piece in part.split("/"))


def test_plain_ids_stand_as_they_are() -> None:
    assert object_part("Sankt_Anton.2") == "Sankt_Anton.2"
    # 30 characters of 3 bytes, each byte 3 characters: 270 characters, cut after 200.
    assert len(object_part("東" * 30)) == 270 + len("%/%")
