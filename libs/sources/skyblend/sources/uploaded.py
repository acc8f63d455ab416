"""A source whose files are only uploaded: it is never asked, so two functions make it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.contract import Attribution, Decoded, Payload, Request, Schedule


@dataclass(frozen=True, slots=True, kw_only=True)
class Uploaded:
    """The source of uploaded files that `knows` recognises and `reads` decodes, as in `Source`."""

    name: str
    attribution: Attribution
    knows: Callable[[str, bytes], bool]
    reads: Callable[[Payload], Iterator[Decoded]]
    publication_delay: timedelta = timedelta(0)
    schedules: tuple[Schedule, ...] = ()

    def requests(
        self, endpoint: str, places: Sequence[Place], *, slot: datetime, options: Mapping[str, str]
    ) -> Iterator[Request]:
        """Nothing."""
        return iter(())

    def recognises(self, name: str, head: bytes) -> bool:
        """Whether an upload is of this source, by its name and first bytes."""
        return self.knows(name, head)

    def decode(self, payload: Payload) -> Iterator[Decoded]:
        """The records of a file. Raises BadPayload."""
        return self.reads(payload)
