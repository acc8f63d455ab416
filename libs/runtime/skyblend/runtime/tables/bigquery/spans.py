"""Days that rows lie in: what was loaded of a record object bounds what a statement has to touch.

A statement may modify 4,000 partitions at most, and a deletion is billed by the partitions that it
reads; so days are put together into few ranges, and long ranges are cut.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta

PARTITIONS = 4000  # days that one statement may modify (BigQuery's limit of partitions for a job)
RANGES = 8  # ranges of days, each a statement of its own
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Days from the first to the last, both within."""

    first: date
    last: date

    def joined(self, other: "Span") -> "Span":
        return Span(min(self.first, other.first), max(self.last, other.last))


def ranges(spans: Iterable[Span]) -> list[Span]:
    """Few ranges that hold all the spans, none longer than a statement may modify. Those with the
    shortest gaps between them become one."""
    merged: list[Span] = []
    for span in sorted(spans):
        if merged and span.first <= merged[-1].last + _DAY:
            merged[-1] = merged[-1].joined(span)
        else:
            merged.append(span)
    while len(merged) > RANGES:
        at = min(range(1, len(merged)), key=lambda i: merged[i].first - merged[i - 1].last)
        merged[at - 1 : at + 1] = [merged[at - 1].joined(merged[at])]
    return [piece for span in merged for piece in _cut(span)]


def fewest(spans: Iterable[Span]) -> list[Span]:
    """As few ranges as may be, whatever days without rows they hold."""
    found: list[Span] = []
    for span in ranges(spans):
        if found and (span.last - found[-1].first).days < PARTITIONS:
            found[-1] = found[-1].joined(span)
        else:
            found.append(span)
    return found


def _cut(span: Span) -> Iterator[Span]:
    first = span.first
    while first <= span.last:
        last = min(span.last, first + (PARTITIONS - 1) * _DAY)
        yield Span(first, last)
        first = last + _DAY
