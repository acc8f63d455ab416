"""The quarantine entries of one raw object, gathered while it is decoded; their number is
bounded."""

import hashlib
from collections import Counter
from dataclasses import dataclass, field

from skyblend.preprocess.members import Origin
from skyblend.sources.contract import BadPayload, Refusal

PER_MEMBER = 1_000
PER_OBJECT = 10_000
_SHOWN = 500  # characters of a text that comes from outside
_UNKNOWN_FIELDS = 1_000

Entry = dict[str, str]


@dataclass(slots=True)
class Entries:
    """What is refused of one raw object, and the fields that no contract knew."""

    origin: Origin
    kept: list[Entry] = field(default_factory=list)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)  # by source and member
    unknown_fields: Counter[str] = field(default_factory=Counter)
    _ids: Counter[str] = field(default_factory=Counter)

    @property
    def count(self) -> int:
        """How many members and rows are refused, those without an entry of their own included."""
        return self.refused.total()

    def add(self, member: str, source: str, refusal: Refusal) -> None:
        """Note one refusal of a member."""
        source = source or self.origin.source
        self.refused[source, member] += 1
        if self.refused[source, member] <= PER_MEMBER and len(self.kept) < PER_OBJECT:
            self.kept.append(self._entry(member, source, refusal))

    def add_payload(self, member: str, bad: BadPayload) -> None:
        """Note that a whole member is refused."""
        self.add(member, bad.source, Refusal(bad.where, bad.expected, bad.got))

    def know(self, where: str) -> None:
        """Count a field that the contract does not know."""
        if where in self.unknown_fields or len(self.unknown_fields) < _UNKNOWN_FIELDS:
            self.unknown_fields[where] += 1

    def finished(self) -> list[Entry]:
        """All entries; where there were too many, one more for each such member with the number of
        the others."""
        per_member = Counter((entry["source"], entry["member"]) for entry in self.kept)
        others = [
            self._entry(
                member, source, Refusal("further rows", "none", f"{count - shown} more refused")
            )
            for (source, member), count in self.refused.items()
            if count > (shown := per_member[source, member]) > 0
        ]
        left = sum(n for key, n in self.refused.items() if not per_member[key])
        if left:
            others.append(
                self._entry("", "", Refusal("further members", "none", f"{left} more refused"))
            )
        return self.kept + others

    def _entry(self, member: str, source: str, refusal: Refusal) -> Entry:
        return {
            "id": self._id(f"{self.origin.raw}#{member}#{refusal.where}"),
            "source": source,
            "file_name": self.origin.file_name,
            "member": member,
            "where": refusal.where[:_SHOWN],
            "expected": refusal.expected[:_SHOWN],
            "got": refusal.got[:_SHOWN],
            "sample": refusal.sample[:_SHOWN],
            "received_at": self.origin.received_at.isoformat().replace("+00:00", "Z"),
        }

    def _id(self, key: str) -> str:
        """A short name of an entry; the second one of the same place gets a number."""
        self._ids[key] += 1
        numbered = key if self._ids[key] == 1 else f"{key}#{self._ids[key]}"
        return hashlib.sha256(numbered.encode()).hexdigest()[:12]
