"""What became of a raw object, as preprocess's mark tells it: ingest asks and announces by it."""

import json
from dataclasses import dataclass
from datetime import datetime

from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage


@dataclass(frozen=True, slots=True)
class Outcome:
    """Rows of records and refused members of a processed raw object, and what source read it."""

    source: str
    records: int
    quarantined: int
    decoded_at: datetime

    @property
    def is_fruitless(self) -> bool:
        """Whether all of it was refused: it holds nothing that anybody can use."""
        return not self.records and self.quarantined > 0


def outcome(storage: Storage, raw: str) -> Outcome | None:
    """The outcome of a raw object, None where it is not processed yet."""
    try:
        mark = json.loads(storage.read(names.processed(raw)).data)
    except Absent:
        return None
    return Outcome(
        source=mark["source"],
        records=mark["forecasts"] + mark["observations"],
        quarantined=mark["quarantined"],
        decoded_at=datetime.fromisoformat(mark["decoded_at"]),
    )
