"""The walk through history: the features of every sample from exactly what was known at its own
cycle.

Time runs forwards once. Before the samples of a cycle are looked at, all observations known by
then are absorbed, later versions as differences to the ones before; nothing later has been
touched.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from skyblend.predict.blend.columns import HOUR, Flags, Floats, History, Ints
from skyblend.predict.blend.evidence import Corrections, Memory, classes, corrections
from skyblend.predict.blend.features import Features, Situations, corrected_mean, features, mean_of
from skyblend.predict.blend.lookup import NewestRuns, Samples, Truth
from skyblend.predict.blend.series import default_spread

_STRANGERS = 0.25  # share of samples also learnt from as of a place without history
_SEED = 1


@dataclass(frozen=True, slots=True)
class _Pairs:
    """Observed samples in the order in which they became known."""

    sample: Ints
    time: Ints
    value: Floats
    before: Floats


@dataclass(frozen=True, slots=True)
class Walked:
    """Samples in order of their cycles, with their features; `memory` holds all that was known
    at the end. Some samples (`strangers`, rows) also have the features that they would have if
    their place had no history, so that a model learns what to do there."""

    samples: Samples
    situations: Situations
    features: Features
    strangers: Ints
    strange: Features
    memory: Memory
    prior: Floats


def prior(history: History) -> Floats:
    """What is assumed before any pair: no error, and the default spread of a day ahead."""
    size = default_spread(history.series, np.array([24.0]))[0] * np.sqrt(2 / np.pi)
    return np.array([0.0] * (len(history.forecasters) + 2) + [size])


def walk(
    history: History, samples: Samples, *, learnt: Flags, truth: Truth, until: int | None = None
) -> Walked:
    """Features of `samples` (sorted by cycle); errors are learnt from those marked `learnt` once
    they are observed."""
    runs = NewestRuns(history.forecasts, len(history.forecasters))
    value, issued = runs.at(samples)
    situations = Situations(
        samples.cycle, samples.valid, history.position[samples.place], value, issued
    )
    instant = history.series.period == 0
    lead = (samples.valid - samples.cycle) / HOUR
    kind = classes(samples.valid, lead, instant=instant)
    strangers = learnt & (np.random.default_rng(_SEED).random(len(samples)) < _STRANGERS)
    steps = _Walk(
        history,
        samples,
        value,
        kind=kind,
        pairs=_pairs(samples, learnt, truth),
        strangers=strangers,
    )
    known, unknown = steps.run(until)
    some = np.flatnonzero(strangers)
    return Walked(
        samples=samples,
        situations=situations,
        features=features(situations, known, instant=instant),
        strangers=some,
        strange=features(situations.take(some), unknown, instant=instant),
        memory=steps.memory,
        prior=prior(history),
    )


def _pairs(samples: Samples, learnt: Flags, truth: Truth) -> _Pairs:
    rows = np.flatnonzero(learnt)
    sample, time, value, before = truth.versions(samples.take(rows))
    order = np.argsort(time, kind="stable")
    return _Pairs(rows[sample][order], time[order], value[order], before[order])


class _Walk:
    def __init__(
        self,
        history: History,
        samples: Samples,
        value: Floats,
        *,
        kind: Ints,
        pairs: _Pairs,
        strangers: Flags,
    ) -> None:
        self._strangers = strangers
        self._samples, self._value, self._kind, self._pairs = samples, value, kind, pairs
        self._mean, self._count = mean_of(value), value.shape[1]
        self._limit = history.series.blended.error_limit
        self._prior = prior(history)
        self._corrected = np.full(len(samples), np.nan)
        self.memory = Memory(history.position, self._count + 3)

    def run(self, until: int | None) -> tuple[Corrections, Corrections]:
        """The corrections of all samples, and of the strangers as such."""
        cycles, first = np.unique(self._samples.cycle, return_index=True)
        ends = np.append(first[1:], len(self._samples))
        seen, found = 0, []
        for cycle, low, high in zip(cycles, first, ends, strict=True):
            seen = self._absorb(seen, int(cycle))
            found.append(self._look(int(cycle), slice(low, high)))
        if until is not None:
            self._absorb(seen, until)
        known, unknown = zip(*found, strict=True) if found else ((), ())
        return self._joined(known), self._joined(unknown)

    def _look(self, cycle: int, rows: slice) -> tuple[Corrections, Corrections]:
        evidence = self.memory.about(self._samples.place[rows], self._kind[rows], cycle)
        known = corrections(evidence, self._prior)
        errors = known.own[:, 0, : self._count]
        self._corrected[rows] = corrected_mean(self._value[rows], errors)[0]
        return known, corrections(evidence.of_stranger(self._strangers[rows]), self._prior)

    def _absorb(self, seen: int, at: int) -> int:
        end = int(np.searchsorted(self._pairs.time, at, side="right"))
        self.memory.advance(at)
        if end > seen:
            sample = self._pairs.sample[seen:end]
            now = self._errors(sample, self._pairs.value[seen:end])
            then = self._errors(sample, self._pairs.before[seen:end])
            added = np.isfinite(now) & ~np.isfinite(then)
            change = np.where(np.isfinite(now), now - np.where(np.isfinite(then), then, 0.0), 0.0)
            samples = self._samples
            self.memory.absorb(
                samples.place[sample],
                self._kind[sample],
                samples.valid[sample],
                added.astype(np.float64),
                change,
            )
        return end

    def _errors(self, sample: Ints, observed: Floats) -> Floats:
        """Errors of the forecasters and their mean, the observation, and the size of the
        corrected mean's error."""
        seen = observed[:, None]
        errors = np.column_stack([self._value[sample], self._mean[sample]]) - seen
        size = np.abs(self._corrected[sample][:, None] - seen)
        bounded = np.clip(errors, -self._limit, self._limit)
        return np.column_stack([bounded, seen, np.minimum(size, self._limit)])

    def _joined(self, found: Sequence[Corrections]) -> Corrections:
        none = np.zeros((0, *self.memory.all.shape[1:]))
        return Corrections(
            np.concatenate([none, *(one.own for one in found)]),
            np.concatenate([none, *(one.area for one in found)]),
            np.concatenate([none, *(one.weight for one in found)]),
        )
