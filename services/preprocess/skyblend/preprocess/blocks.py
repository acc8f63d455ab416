"""Decoded items gathered to blocks of rows that are checked and written together."""

from collections.abc import Callable, Iterator

from skyblend.preprocess.rows import Piece, Rows, Signature, concatenate

BLOCK = 1 << 16  # rows of a block
WAITING = 1 << 17  # rows that wait for their block to be full, all kinds together


class Blocks:
    """Pieces that wait, by kind and variables; a full block is given away."""

    def __init__(self, give: Callable[[Rows], None]) -> None:
        self._give = give
        self._waiting: dict[Signature, list[Piece]] = {}
        self._rows: dict[Signature, int] = {}

    def add(self, piece: Piece) -> None:
        """Let a piece wait; one that is larger than a block is cut."""
        for part in _cut(piece):
            signature = part.signature
            if self._rows.get(signature, 0) + len(part) > BLOCK:
                self._flush(signature)
            self._waiting.setdefault(signature, []).append(part)
            self._rows[signature] = self._rows.get(signature, 0) + len(part)
            if sum(self._rows.values()) > WAITING:
                self._flush(max(self._rows, key=self._rows.__getitem__))

    def finish(self) -> None:
        """Give away all that waits."""
        for signature in list(self._waiting):
            self._flush(signature)

    def _flush(self, signature: Signature) -> None:
        self._rows.pop(signature, None)
        if pieces := self._waiting.pop(signature, None):
            self._give(concatenate(pieces))


def _cut(piece: Piece) -> Iterator[Piece]:
    if len(piece) <= BLOCK:
        yield from [piece] if len(piece) else []
        return
    for start in range(0, len(piece), BLOCK):
        yield piece.part(slice(start, start + BLOCK))
