"""Smooth made-up fields: sums of travelling waves with amplitudes and phases from a seed."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def random(*names: object) -> np.random.Generator:
    """A generator that depends on nothing but these names."""
    digest = hashlib.blake2b(repr(names).encode(), digest_size=8).digest()
    return np.random.default_rng(int.from_bytes(digest, "big"))


@dataclass(frozen=True, slots=True)
class Waves:
    """A field of unit variance over the globe and time: waves that travel eastwards.

    `around` is the whole number of waves around a circle of latitude, `across` the waves per radian
    of latitude, `speed` radians per hour at a fixed point; arrays [n].
    """

    around: Floats
    across: Floats
    speed: Floats
    phase: Floats

    @classmethod
    def of(cls, *names: object, count: int, days: tuple[float, float]) -> "Waves":
        """Waves with periods between the two `days` at a fixed point."""
        rng = random(*names)
        period = np.exp(rng.uniform(np.log(days[0]), np.log(days[1]), count)) * 24.0
        return cls(
            around=rng.integers(2, 10, count).astype(np.float64),
            across=rng.normal(0.0, 4.0, count),
            speed=2.0 * np.pi / period,
            phase=rng.uniform(0.0, 2.0 * np.pi, count),
        )

    def at(self, latitude: float, longitude: float, hours: Floats) -> Floats:
        """The field at a point, at hours since 1970."""
        start = self.around * np.radians(longitude) + self.across * np.radians(latitude)
        angle = (start + self.phase)[:, np.newaxis] - np.outer(self.speed, hours)
        return np.asarray(np.cos(angle).sum(axis=0) * np.sqrt(2.0 / self.phase.size))


@dataclass(frozen=True, slots=True)
class Drift:
    """A series of unit variance in valid time that changes slowly from run to run; arrays [n]."""

    by_valid: Floats
    by_run: Floats
    phase: Floats

    @classmethod
    def of(cls, *names: object, count: int = 5) -> "Drift":
        """Changes within 8 to 60 hours of valid time, and within two to six days of runs."""
        rng = random(*names)
        return cls(
            by_valid=2.0 * np.pi / rng.uniform(8.0, 60.0, count),
            by_run=2.0 * np.pi / rng.uniform(48.0, 144.0, count),
            phase=rng.uniform(0.0, 2.0 * np.pi, count),
        )

    def at(self, hours: Floats, run: Floats) -> Floats:
        """The series at valid `hours` from the run at `run`, of one shape, in hours since 1970."""
        angle = np.multiply.outer(self.by_valid, hours) + np.multiply.outer(self.by_run, run)
        angle += self.phase.reshape(-1, *[1] * hours.ndim)
        return np.asarray(np.cos(angle).sum(axis=0) * np.sqrt(2.0 / self.phase.size))
