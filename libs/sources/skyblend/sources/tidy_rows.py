"""The rows of one chunk of a tidy file that still stand, and the refusals of the others."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from skyblend.sources.contract import Refusal
from skyblend.sources.tables import Chunk


class Rows:
    """The rows of a chunk that still stand, and why the others do not; a row is refused once."""

    def __init__(self, chunk: Chunk, word: str) -> None:
        self.chunk, self.word = chunk, word
        self.kept = np.ones(len(chunk.rows), dtype=np.bool_)
        self.refusals: list[Refusal] = []

    def refuse(self, rows: Sequence[int], column: str, expected: str) -> None:
        """Refuse rows, by their numbers in the chunk, for what stands in a column."""
        for row in rows:
            if self.kept[row]:
                self.kept[row] = False
                where = f"{self.word} {self.chunk.rows[row]} column {column}"
                got = str(self.chunk.cells[column][row])[:80] if column in self.chunk.cells else ""
                self.refusals.append(Refusal(where, expected, repr(got) if got else "nothing"))

    def refuse_where(self, wrong: NDArray[np.bool_], column: str, expected: str) -> None:
        """Refuse the rows that are marked."""
        if wrong.any():
            self.refuse(np.flatnonzero(wrong).tolist(), column, expected)
