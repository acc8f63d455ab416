"""What past errors tell: decayed sums of each forecaster's errors per place, hour and lead, and the
corrections from them.

Sums are kept for (place, class) and (place), where a class is an hour of day and a range of
lead; for two memories, a slow and a fast one; and for the columns: each forecaster, their mean,
the observation itself, and the size of the error of the corrected mean. Corrections are shrunk
from the place to its neighbours and from them to all places.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skyblend.predict.blend.columns import DAY, HOUR, Flags, Floats, Ints
from skyblend.predict.blend.neighbours import nearness, neighbours

MEMORY_DAYS = np.array([20.0, 2.0])
_HOUR_CLASSES, _LEAD_EDGES = 8, np.array([30.0, 78.0, 150.0])
CLASSES = _HOUR_CLASSES * (len(_LEAD_EDGES) + 1)

# Pairs at which the place's own history weighs as much as its neighbours', its class as much as the
# place, the neighbours as much as everybody: (slow, fast) memory. Errors of one place on successive
# targets are far from independent.
OWN_PAIRS = np.array([3.0, 2.0])
CLASS_PAIRS = np.array([6.0, 4.0])
AREA_PAIRS = np.array([4.0, 3.0])
ALL_PAIRS = 5.0

# Memory is kept relative to the start of an epoch, so that weights depend on valid times only and
# never overflow.
EPOCH = 60 * DAY


def classes(valid: Ints, lead: Floats, *, instant: bool) -> Ints:
    """The class of each sample: hour of day in steps of 3 (instants only) and range of lead."""
    hour = (valid // HOUR % 24) // 3 if instant else np.zeros(len(valid), dtype=np.int64)
    return hour * (len(_LEAD_EDGES) + 1) + np.searchsorted(_LEAD_EDGES, lead, side="right")


@dataclass(frozen=True, slots=True)
class Sums:
    """Weights and weighted sums [..., memories, columns]."""

    weight: Floats
    total: Floats

    def mean(self, prior: Floats, pairs: NDArray[np.float64] | float) -> Floats:
        """The mean, shrunk to `prior` as if that were known from `pairs` pairs."""
        strength = np.broadcast_to(np.asarray(pairs, dtype=np.float64), (len(MEMORY_DAYS),))[
            :, None
        ]
        return (self.total + strength * prior) / (self.weight + strength)

    def emptied(self) -> "Sums":
        """As if there had been no pair."""
        return Sums(np.zeros_like(self.weight), np.zeros_like(self.total))


@dataclass(frozen=True, slots=True)
class Evidence:
    """The sums that bear on some samples (first axis): of the place in the class, the place, its
    neighbours, the class everywhere, and everything."""

    own_class: Sums
    own: Sums
    area: Sums
    all_class: Sums
    all: Sums

    def of_stranger(self, rows: Flags) -> "Evidence":
        """The evidence for some of the samples, if their places had no history of their own."""
        each = (self.own_class, self.own, self.area, self.all_class, self.all)
        own_class, own, *others = (Sums(sums.weight[rows], sums.total[rows]) for sums in each)
        return Evidence(own_class.emptied(), own.emptied(), *others)


@dataclass(frozen=True, slots=True)
class Corrections:
    """Shrunk mean errors [samples, memories, columns] (forecast minus observation; the last two
    columns are the mean observation and the mean absolute error of the corrected mean), and the
    weight of the place's own pairs."""

    own: Floats
    area: Floats
    weight: Floats


def corrections(evidence: Evidence, prior: Floats) -> Corrections:
    """Shrink place in class -> place -> neighbours -> all -> `prior` [columns]."""
    everything = evidence.all.mean(prior, ALL_PAIRS)
    class_shift = evidence.all_class.mean(everything, ALL_PAIRS) - everything
    area = evidence.area.mean(everything, AREA_PAIRS)
    place = evidence.own.mean(area, OWN_PAIRS)
    own = evidence.own_class.mean(place + class_shift, CLASS_PAIRS)
    return Corrections(own, area + class_shift, evidence.own.weight)


class Memory:
    """The running sums; `absorb` takes pairs that became known, `about` gives the evidence as of
    a time."""

    def __init__(self, position: Floats, columns: int) -> None:
        """`position` [places, 3] as in `neighbours`."""
        places, shape = len(position), (len(MEMORY_DAYS), columns)
        self._position = position
        self._neighbours, self._nearness = neighbours(position)
        self.epoch = 0
        self.cell = np.zeros((2, places * CLASSES, *shape))
        self.place = np.zeros((2, places, *shape))
        self.all_class = np.zeros((2, CLASSES, *shape))
        self.all = np.zeros((2, *shape))

    def restore(self, epoch: int, sums: Mapping[str, Floats]) -> None:
        """Take the sums of a model's file; raises ValueError where shapes differ."""
        for name in ("cell", "place", "all_class", "all"):
            if sums[name].shape != getattr(self, name).shape:
                raise ValueError(
                    f"{name}: expected {getattr(self, name).shape}, got {sums[name].shape}"
                )
            setattr(self, name, sums[name].astype(np.float64))
        self.epoch = epoch

    def advance(self, at: int) -> None:
        """Move the reference time to the epoch of `at`."""
        steps = at // EPOCH - self.epoch
        if steps > 0:
            factor = np.exp(-np.minimum(steps * (EPOCH / DAY), 1e4) / MEMORY_DAYS)[:, None]
            self.cell, self.place = self.cell * factor, self.place * factor
            self.all_class, self.all = self.all_class * factor, self.all * factor
            self.epoch = at // EPOCH

    def absorb(self, place: Ints, kind: Ints, valid: Ints, added: Floats, change: Floats) -> None:
        """Add pairs: `added` [pairs, columns] is 1 where a column gets its first value, `change`
        what its sum gains."""
        age = (valid - self.epoch * EPOCH) / DAY
        weight = np.exp(age[:, None] / MEMORY_DAYS)[:, :, None]
        gains = np.stack([weight * added[:, None, :], weight * change[:, None, :]])
        for side in (0, 1):
            np.add.at(self.cell[side], place * CLASSES + kind, gains[side])
            np.add.at(self.place[side], place, gains[side])
            np.add.at(self.all_class[side], kind, gains[side])
            self.all[side] += gains[side].sum(axis=0)

    def about(self, place: Ints, kind: Ints, at: int) -> Evidence:
        """The evidence for samples of known places, as of `at`."""
        near = self._nearness[place][:, :, None, None]
        around = self._neighbours[place]
        area = np.stack([(near * side[around]).sum(axis=1) for side in self.place])
        own = self.cell[:, place * CLASSES + kind], self.place[:, place]
        return self._evidence(*own, area, kind, at)

    def about_elsewhere(self, position: Floats, kind: Ints, at: int) -> Evidence:
        """The evidence for samples of a place at `position` [3] that has no history of its own."""
        near = nearness(position[None, :], self._position)[0]
        area = np.tensordot(self.place, near, axes=(1, 0))[:, None]
        none = np.zeros((2, len(kind), *self.all.shape[1:]))
        return self._evidence(none, none, area + none, kind, at)

    def _evidence(self, cell: Floats, place: Floats, area: Floats, kind: Ints, at: int) -> Evidence:
        faded = np.exp(-((at - self.epoch * EPOCH) / DAY) / MEMORY_DAYS)[:, None]
        everything = np.broadcast_to(self.all[:, None], cell.shape)
        each = (cell, place, area, self.all_class[:, kind], everything)
        return Evidence(*(_faded(sums, faded) for sums in each))


def _faded(sums: Floats, faded: Floats) -> Sums:
    return Sums(sums[0] * faded, sums[1] * faded)
