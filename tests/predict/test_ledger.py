"""The ledger: a chain that shows every change, and one writer at each number."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyblend.predict.serve.ledger import Damaged, Forked, Head, append, find_head, verify
from skyblend.protos.v1.api_pb2 import Issued, LedgerSegment
from skyblend.protos.v1.records_pb2 import Place, RunSeries
from skyblend.runtime import names
from skyblend.runtime.storage.memory import MemoryStorage

AT = datetime(2026, 11, 20, 10, tzinfo=UTC)


def _issued(place: str, inputs: str = "a") -> Issued:
    return Issued(place=Place(id=place), inputs=inputs, members=[RunSeries(value=[1.0])])


def _add(storage: MemoryStorage, head: Head, *issued: Issued) -> Head:
    return append(storage, issued, after=head, at=AT, still_new=lambda _, ours: ours)[0]


def _chain(count: int) -> tuple[MemoryStorage, Head]:
    storage, head = MemoryStorage(), Head()
    for number in range(count):
        head = _add(storage, head, _issued("berlin", str(number)))
    return storage, head


@given(st.integers(0, 40), st.integers(0, 40))
def test_the_head_is_found_from_nothing_and_from_any_earlier_one(count: int, seen: int) -> None:
    storage, head = _chain(min(count, seen))
    known = head
    for number in range(count - min(count, seen)):
        head = _add(storage, head, _issued("berlin", str(number)))
    assert find_head(storage)[0] == find_head(storage, known)[0] == head
    assert head.number == count
    assert verify(storage).problems == ()


def test_the_head_is_found_without_a_listing() -> None:
    class Unlisted(MemoryStorage):
        looks = 0

        def list(self, prefix: str):  # type: ignore[no-untyped-def]
            raise AssertionError("listed")

        def generation(self, name: str) -> int:
            self.looks += 1
            return super().generation(name)

    storage, head = Unlisted(), Head()
    for number in range(100):
        head = _add(storage, head, _issued("berlin", str(number)))
    storage.looks = 0
    assert find_head(storage)[0].number == 100
    # 1, 3, 7, 15, 31, 63 are there and 127 is not; between 63 and 127 six halvings.
    assert storage.looks <= 14


def test_a_segment_holds_the_hash_of_the_one_before_and_no_members() -> None:
    storage, _ = _chain(2)
    first, second = (
        LedgerSegment.FromString(storage.read(names.ledger(number)).data) for number in (1, 2)
    )
    assert first.previous == b""
    assert second.number == 2
    assert second.previous == find_head(_chain(1)[0])[0].sha256
    assert len(second.issued[0].members) == 0


def test_the_last_segments_are_verified_without_the_others() -> None:
    storage, _ = _chain(10)
    storage.write(names.ledger(3), b"changed")
    assert verify(storage, last=5).segments == 5
    assert verify(storage, last=5).is_sound
    assert not verify(storage, last=8).is_sound
    storage.delete(names.ledger(9))
    assert verify(storage, last=3).problems[0] == f"{names.ledger(9)}: missing"


def test_nothing_issued_adds_no_segment() -> None:
    storage = MemoryStorage()
    assert _add(storage, Head()) == Head()
    assert verify(storage).segments == 0


def test_the_loser_of_a_race_adds_behind_the_winner_what_is_still_new() -> None:
    storage, start = _chain(1)
    winner = _add(storage, start, _issued("berlin", "x"))

    def still_new(theirs: LedgerSegment, ours):  # type: ignore[no-untyped-def]
        there = {one.place.id for one in theirs.issued}
        return [one for one in ours if one.place.id not in there]

    ours = [_issued("berlin", "x"), _issued("paris")]
    head, added = append(storage, ours, after=start, at=AT, still_new=still_new)
    assert (winner.number, head.number) == (2, 3)
    assert [one.place.id for one in added] == ["paris"]
    assert verify(storage).is_sound


def test_the_loser_of_a_race_with_nothing_left_adds_nothing() -> None:
    storage, start = _chain(1)
    winner = _add(storage, start, _issued("berlin", "x"))
    head, added = append(
        storage, [_issued("berlin", "x")], after=start, at=AT, still_new=lambda *_: []
    )
    assert (head, list(added)) == (winner, [])
    assert verify(storage).segments == 2


def test_any_changed_byte_is_found_even_in_the_last_segment() -> None:
    for number in (1, 2, 3):
        storage, _ = _chain(3)
        content = bytearray(storage.read(names.ledger(number)).data)
        for place in range(len(content)):
            changed = content.copy()
            changed[place] ^= 0x10
            storage.write(names.ledger(number), bytes(changed))
            assert names.ledger(number) in verify(storage).problems[0]


def test_a_missing_segment_is_named() -> None:
    storage, _ = _chain(4)
    storage.delete(names.ledger(2))
    assert verify(storage).problems == ("ledger/000000000002.pb: missing",)


def test_a_fork_is_found() -> None:
    """Two chains that were each sound, the end of one put behind the beginning of the other."""
    ours, head = _chain(2)
    theirs = MemoryStorage()
    other = _add(theirs, Head(), _issued("paris"))
    other = _add(theirs, other, _issued("paris", "b"))
    _add(theirs, other, _issued("paris", "c"))
    ours.write(names.ledger(3), theirs.read(names.ledger(3)).data)
    (problem,) = verify(ours).problems
    assert problem.startswith("ledger/000000000003.pb: expected previous")
    with pytest.raises(Forked, match="expected previous"):
        append(ours, [_issued("berlin")], after=head, at=AT, still_new=lambda _, ours: ours)


def test_a_head_that_changed_under_us_is_not_continued() -> None:
    storage, head = _chain(2)
    storage.write(names.ledger(2), b"another")
    with pytest.raises(Forked, match="changed since"):
        find_head(storage, head)
    with pytest.raises(Damaged, match="not those that were written"):
        find_head(storage)


def test_a_head_that_is_gone_is_not_continued() -> None:
    storage, head = _chain(2)
    storage.delete(names.ledger(2))
    with pytest.raises(Forked, match="missing"):
        find_head(storage, head)
