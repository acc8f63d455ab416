"""The places that an upload speaks of, with the first position that it states for each."""

from dataclasses import dataclass, field

import numpy as np
from skyblend.preprocess.entries import Entries
from skyblend.preprocess.rows import POSITION, Rows
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import places
from skyblend.runtime.storage import Storage
from skyblend.sources.contract import Refusal

MOST = 50_000  # places of one upload


@dataclass(slots=True)
class UploadPlaces:
    """Gathered block by block, registered by one write."""

    collect: bool
    found: dict[str, Place] = field(default_factory=dict)
    left: set[str] = field(default_factory=set)

    def take(self, rows: Rows) -> None:
        """Note the places of a block of rows."""
        text = rows.texts["place_id"]
        codes, first = np.unique(text.codes, return_index=True)
        for code, row in zip(codes.tolist(), first.tolist(), strict=True):
            known = self.found.get(text.names[code])
            if known is None or not known.HasField("latitude"):
                self._note(self._place(text.names[code], rows, row))

    def register(self, storage: Storage, entries: Entries) -> None:
        """Add the places; those that are there keep their position."""
        if self.found:
            places.add(storage, self.found.values())
        if self.left:
            got = f"{len(self.left)} or more further ones"
            entries.add("", "", Refusal("places", f"at most {MOST} places in an upload", got))

    def _note(self, place: Place) -> None:
        if place.id in self.found or len(self.found) < MOST:
            self.found[place.id] = place
        elif len(self.left) < MOST:
            self.left.add(place.id)

    def _place(self, place_id: str, rows: Rows, row: int) -> Place:
        place = Place(id=place_id)
        stated = {name: float(rows.position[name][row]) for name in POSITION}
        if stated["latitude"] == stated["latitude"] and stated["longitude"] == stated["longitude"]:
            place.latitude, place.longitude = stated["latitude"], stated["longitude"]
            place.collect = self.collect
        if stated["elevation"] == stated["elevation"]:
            place.elevation = stated["elevation"]
        return place
