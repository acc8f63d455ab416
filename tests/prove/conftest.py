"""The report of the proofs: how many cases each tried, how many failed, and what that bounds."""

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Self

import pytest
from scipy.special import betaincinv

IS_FULL = os.environ.get("SKYBLEND_PROVE") == "1"
_SHARE = 100


def upper_bound(failures: int, cases: int, confidence: float = 0.95) -> float:
    """The one-sided upper bound of the failure rate by Clopper and Pearson (1934); without a
    failure about 3 / cases."""
    if failures >= cases:
        return 1.0
    return float(betaincinv(failures + 1, cases - failures, confidence))


@dataclass
class Proof:
    """One statement: its cases are counted, its failures kept in words and the first few shown.

    A `with` block around the cases; at its end the line is written and the statement judged.
    """

    name: str
    tell: Callable[[str], None]
    allowed: int = 0
    cases: int = 0
    failures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.tell(self.line() if kind is None else f"{self.line()}; ended by {kind.__name__}")
        if kind is None:
            assert self.cases, f"{self.name}: nothing was tried"
            assert len(self.failures) <= self.allowed, "\n".join([self.line(), *self.failures[:10]])

    def size(self, full: int, *, share: int = _SHARE) -> int:
        """How many cases to try: all in `make prove`, one in `share` of them in the base suite."""
        return full if IS_FULL else max(1, full // share)

    def line(self) -> str:
        """Name, cases, failures, bound of their rate, seconds, and what else there is to say."""
        count, seconds = len(self.failures), time.monotonic() - self.began
        bound = f"{upper_bound(count, self.cases):.2g}" if self.cases else "none"
        told = f"{self.name:<42} N {self.cases:<7} failures {count:<3} 95 % bound {bound:<8}"
        return "; ".join([f"{told} {seconds:6.1f} s", *self.notes])


@pytest.fixture
def proof(record_property: Callable[[str, object], None]) -> Callable[..., Proof]:
    """Begin a proof: `with proof("its name") as one:`; its line is shown after the tests."""
    return partial(Proof, tell=partial(record_property, "proof"))
