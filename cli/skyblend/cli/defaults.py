"""The places that a new data folder starts with."""

from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names, places
from skyblend.runtime.storage import Storage

# Elevations in m.
PLACES = (
    Place(id="Berlin", latitude=52.52, longitude=13.41, elevation=38, collect=True),
    Place(id="London", latitude=51.51, longitude=-0.13, elevation=25, collect=True),
    Place(
        id="New-York", name="New York", latitude=40.71, longitude=-74.01, elevation=10, collect=True
    ),
    Place(id="Sydney", latitude=-33.87, longitude=151.21, elevation=39, collect=True),
    Place(id="Tokyo", latitude=35.69, longitude=139.69, elevation=40, collect=True),
)


def add_if_new(storage: Storage) -> bool:
    """Add them where no place was ever added; True if it was so."""
    if storage.generation(names.PLACES):
        return False
    places.add(storage, PLACES)
    return True
