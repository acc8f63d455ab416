"""The simulated truth: weather as a pure function of place, time and seed.

Seasons follow the latitude, days the sun, and travelling waves bring warm and cold air, wind and
rain. A handful of fields makes up the state; every variable is derived from it, so that they agree
with each other. Times are hours since 1970 in UTC.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skyblend.simulator.waves import Waves

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Site:
    """A point: degrees north and east, m above the sea."""

    latitude: float
    longitude: float
    elevation: float


@dataclass(frozen=True, slots=True)
class State:
    """What the weather is made of: temperature anomaly in K, wetness (about unit variance),
    pressure anomaly in hPa, wind to the east and to the north in m/s."""

    anomaly: Floats
    wetness: Floats
    pressure: Floats
    east: Floats
    north: Floats

    def shifted(self, error: "State") -> "State":
        """The state with errors added."""
        return State(
            self.anomaly + error.anomaly,
            self.wetness + error.wetness,
            self.pressure + error.pressure,
            self.east + error.east,
            self.north + error.north,
        )


class Atmosphere:
    """One atmosphere; the same seed gives the same weather for ever."""

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed
        self._air = Waves.of(seed, "air", count=10, days=(2.5, 12.0))
        self._front = Waves.of(seed, "front", count=4, days=(3.0, 7.0))
        self._wet = Waves.of(seed, "wet", count=10, days=(1.5, 8.0))
        self._shower = Waves.of(seed, "shower", count=8, days=(0.2, 0.8))
        self._pressure = Waves.of(seed, "pressure", count=8, days=(3.0, 12.0))
        self._east = Waves.of(seed, "east", count=8, days=(1.0, 8.0))
        self._north = Waves.of(seed, "north", count=8, days=(1.0, 8.0))
        self._land = Waves.of(seed, "land", count=12, days=(1.0, 2.0))

    def state(self, site: Site, hours: Floats) -> State:
        """The state at a place and at times [n]."""
        at = (site.latitude, site.longitude, hours)
        stormy = 0.25 + 0.75 * np.tanh((site.latitude / 30.0) ** 2)
        front = np.tanh(2.0 * self._front.at(*at))
        wetness = 0.8 * self._wet.at(*at) + 0.4 * self._shower.at(*at) + 0.4 * front
        return State(
            anomaly=stormy * (2.8 * self._air.at(*at) - 3.0 * front),
            wetness=wetness,
            pressure=stormy * (9.0 * self._pressure.at(*at) - 4.0 * front),
            east=3.0 * np.tanh(site.latitude / 25.0) ** 2 + 3.5 * self._east.at(*at),
            north=3.5 * self._north.at(*at),
        )

    def elevation(self, latitude: float, longitude: float) -> float:
        """Height of the ground in whole m, 0 to about 2000."""
        height = self._land.at(8.0 * latitude, 8.0 * longitude, np.zeros(1))[0]
        return float(np.round(300.0 * max(0.0, height + 0.6) ** 1.6))


def sun(site: Site, hours: Floats) -> Floats:
    """Sine of the sun's elevation; declination after Cooper (1969), Solar Energy 12, 333-346."""
    tilt = np.radians(23.45) * np.sin(2.0 * np.pi * (day_of_year(hours) - 81.0) / 365.25)
    turn = 2.0 * np.pi * (hours + site.longitude / 15.0 - 12.0) / 24.0
    phi = np.radians(site.latitude)
    return np.asarray(np.sin(phi) * np.sin(tilt) + np.cos(phi) * np.cos(tilt) * np.cos(turn))


def day_of_year(hours: Floats) -> Floats:
    """Days since a new year of 365.25 days."""
    return np.asarray((hours / 24.0) % 365.25)


def climate(site: Site, hours: Floats) -> Floats:
    """Mean temperature of the place and season in degC: warmest in late July north of the equator
    and half a year later south of it, 6.5 K colder for each km of height."""
    mean = 27.0 - 34.0 * np.sin(np.radians(site.latitude)) ** 2
    swing = 13.0 * np.tanh(site.latitude / 35.0)
    season = swing * np.cos(2.0 * np.pi * (day_of_year(hours) - 203.0) / 365.25)
    return np.asarray(mean + season - 6.5 * site.elevation / 1000.0)
