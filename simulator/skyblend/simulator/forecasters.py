"""Simulated forecasters: each with its bias, noise that grows with lead, resolution and horizon.

All of it follows from the model's name, the place and the run: asked twice, a model says the same.
Part of the error is shared by all models, as with real ones; the rest is a model's own, so that
their mean is better than each, and better still without their biases.
"""

from dataclasses import dataclass

import numpy as np
from skyblend.simulator.atmosphere import Atmosphere, Floats, Site, State
from skyblend.simulator.waves import Drift, random
from skyblend.simulator.weather import Weather

_SHARED = 0.35  # share of the error's variance that all models have in common

# Days ahead, degrees between grid points and hours between runs, by a piece of the model's name;
# the first that fits counts.
_KINDS = (
    ("hrrr", 2.0, 0.03, 1),
    ("_d2", 2.0, 0.02, 3),
    ("_2i", 3.0, 0.02, 12),
    ("_ch", 5.0, 0.02, 3),
    ("arome", 2.0, 0.02, 3),
    ("nordic", 2.5, 0.01, 1),
    ("hrdps", 2.0, 0.02, 6),
    ("rdps", 3.5, 0.1, 6),
    ("uk_det", 2.0, 0.02, 1),
    ("_msm", 4.0, 0.05, 3),
    ("ldps", 2.0, 0.01, 6),
    ("aladin", 3.0, 0.02, 6),
    ("harmonie", 2.5, 0.05, 3),
    ("_eu", 5.0, 0.06, 3),
    ("nam", 3.5, 0.03, 6),
    ("icon", 7.5, 0.11, 6),
    ("metno", 10.0, 0.11, 6),
    ("arpege", 4.0, 0.25, 6),
    ("meteofrance", 4.0, 0.1, 6),
    ("ukmo", 7.0, 0.1, 6),
    ("jma", 11.0, 0.5, 6),
    ("bom", 10.0, 0.15, 6),
    ("cma", 10.0, 0.15, 6),
    ("gem", 10.0, 0.15, 12),
    ("ecmwf", 15.0, 0.25, 6),
    ("", 16.0, 0.13, 6),
)
_PUBLISHED_AFTER = 4.0  # hours from a run's start


@dataclass(frozen=True, slots=True)
class Forecaster:
    """A model: horizon in days, grid in degrees, hours between runs, and its character."""

    name: str
    horizon: float
    grid: float
    cycle: int
    bias: float  # K
    noise: float  # factor on the error that is usual for a lead
    growth: float  # factor on its growth with lead

    def newest_run(self, now: float) -> float:
        """Start of the newest run that is published at `now`; both in hours since 1970."""
        return float((now - _PUBLISHED_AFTER) // self.cycle * self.cycle)

    def run_before(self, hours: Floats) -> Floats:
        """Start of the newest run that had begun at each of the hours."""
        return np.asarray(hours // self.cycle * self.cycle)


def forecaster(name: str) -> Forecaster:
    """The model of this name, with the character that its name gives it."""
    horizon, grid, cycle = next(kind[1:] for kind in _KINDS if kind[0] in name)
    rng = random("forecaster", name)
    return Forecaster(
        name=name,
        horizon=horizon,
        grid=grid,
        cycle=cycle,
        bias=float(rng.normal(0.0, 0.7)),
        noise=float(rng.uniform(0.8, 1.3)),
        growth=float(rng.uniform(0.8, 1.25)),
    )


def forecast(
    atmosphere: Atmosphere, model: Forecaster, site: Site, *, hours: Floats, run: Floats
) -> Weather:
    """What the model's runs say of the place at `hours` [n]; `run` is [..., n], hours since 1970.

    The weather has the shape of `run`; times beyond the horizon are NaN.
    """
    cell = Site(_snap(site.latitude, model.grid), _snap(site.longitude, model.grid), site.elevation)
    truth = atmosphere.state(cell, hours)
    error = _error(atmosphere.seed, model, site, hours=hours, run=run)
    return Weather(cell, hours, truth.shifted(error))


def _snap(degrees: float, grid: float) -> float:
    return float(np.round(degrees / grid) * grid)


def _error(seed: int, model: Forecaster, site: Site, *, hours: Floats, run: Floats) -> State:
    """The model's error in each part of the state, NaN beyond its horizon."""
    days = np.maximum(hours - run, 0.0) / 24.0
    valid = np.broadcast_to(hours, run.shape)
    beyond = np.where(days > model.horizon, np.nan, 0.0)
    size = model.noise * (0.55 + 0.42 * model.growth * days**0.9) + beyond

    def noise(field: str) -> Floats:
        place = (round(site.latitude, 2), round(site.longitude, 2))
        shared = Drift.of(seed, field, place).at(valid, run)
        own = Drift.of(seed, field, place, model.name).at(valid, run)
        return np.asarray(size * (np.sqrt(_SHARED) * shared + np.sqrt(1.0 - _SHARED) * own))

    return State(
        anomaly=1.1 * noise("anomaly") + _bias(seed, model, site, hours),
        wetness=0.25 * noise("wetness"),
        pressure=1.0 * noise("pressure"),
        east=0.9 * noise("east"),
        north=0.9 * noise("north"),
    )


def _bias(seed: int, model: Forecaster, site: Site, hours: Floats) -> Floats:
    """The model's constant and daily bias at a place, in K."""
    place = (round(site.latitude, 2), round(site.longitude, 2))
    constant, by_day, phase = random(seed, "bias", model.name, place).normal(0.0, 1.0, 3)
    daily = 0.5 * by_day * np.cos(2.0 * np.pi * hours / 24.0 + phase)
    return np.asarray(model.bias + 1.1 * constant + daily)
