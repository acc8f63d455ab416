"""Every variable of the weather from the state of the simulated atmosphere."""

from collections.abc import Callable

import numpy as np
from skyblend.simulator.atmosphere import Floats, Site, State, climate, sun


class Weather:
    """The variables at one place and at times [n] from a state [..., n], in canonical units."""

    def __init__(self, site: Site, hours: Floats, state: State) -> None:
        self._site, self._hours, self._state = site, hours, state
        self._sun = sun(site, hours)
        self._clouds = 1.0 / (1.0 + np.exp(-1.8 * (state.wetness + 0.2)))
        afternoon = np.cos(2.0 * np.pi * (hours + site.longitude / 15.0 - 15.0) / 24.0)
        self._day = 4.5 * np.cos(np.radians(site.latitude)) * afternoon * (1 - 0.6 * self._clouds)
        self._temperature = climate(site, hours) + state.anomaly + self._day

    def value(self, variable: str) -> Floats:
        """The column of one of VARIABLES."""
        return _OF[variable](self)

    def temperature(self) -> Floats:
        """degC."""
        return np.asarray(self._temperature)

    def dew_point(self) -> Floats:
        """degC, never above the temperature."""
        depression = np.maximum(0.2, 1.0 + 8.0 * (1.0 - self._clouds) + self._day / 2)
        return np.asarray(self._temperature - depression)

    def humidity(self) -> Floats:
        """%, by the Magnus formula (Alduchov and Eskridge 1996)."""
        return np.asarray(100.0 * _vapour(self.dew_point()) / _vapour(self._temperature))

    def pressure(self) -> Floats:
        """hPa at mean sea level."""
        return 1013.0 + self._state.pressure

    def surface_pressure(self) -> Floats:
        """hPa at the ground, by the hypsometric equation."""
        scale = 29.27 * (self._temperature + 273.15)
        return np.asarray(self.pressure() * np.exp(-self._site.elevation / scale))

    def wind_speed(self) -> Floats:
        """m/s."""
        return np.asarray(0.8 * np.hypot(self._state.east, self._state.north))

    def gusts(self) -> Floats:
        """m/s, never below the wind."""
        return 1.4 * self.wind_speed() + 1.5 + 1.5 * np.maximum(self._state.wetness, 0.0)

    def wind_direction(self) -> Floats:
        """Degrees from which the wind blows."""
        return np.asarray(np.degrees(np.arctan2(-self._state.east, -self._state.north)) % 360.0)

    def precipitation(self) -> Floats:
        """mm in the hour before."""
        return np.asarray(1.3 * np.maximum(self._state.wetness - 1.0, 0.0) ** 1.5)

    def precipitation_probability(self) -> Floats:
        """%."""
        return np.asarray(100.0 / (1.0 + np.exp(-3.0 * (self._state.wetness - 1.0))))

    def snowfall(self) -> Floats:
        """cm in the hour before."""
        frozen = np.clip((1.5 - self._temperature) / 2.0, 0.0, 1.0)
        return np.asarray(0.7 * self.precipitation() * frozen)

    def cloud_cover(self) -> Floats:
        """%."""
        return 100.0 * self._clouds

    def visibility(self) -> Floats:
        """m."""
        return np.asarray(200.0 + 24_000.0 * (1.0 - (self.humidity() / 100.0) ** 8))

    def radiation(self) -> Floats:
        """W/m2."""
        return np.asarray(990.0 * np.maximum(self._sun, 0.0) * (1.0 - 0.7 * self._clouds**3))

    def weather_code(self) -> Floats:
        """WMO code 4677 as Open-Meteo uses it: clouds, fog, rain and snow."""
        rain = self.precipitation()
        sky = np.digitize(self._clouds, [0.2, 0.5, 0.8]).astype(np.float64)
        sky = np.where(self.humidity() > 98.0, 45.0, sky)
        wet = np.where(self._temperature < 0.5, 71.0, 61.0) + 2.0 * np.digitize(rain, [0.5, 2.0])
        code = np.where(rain >= 0.1, wet, sky)
        return np.where(np.isnan(rain), np.nan, code)


def _vapour(celsius: Floats) -> Floats:
    return np.asarray(6.1094 * np.exp(17.625 * celsius / (celsius + 243.04)))


_OF: dict[str, Callable[[Weather], Floats]] = {
    "temperature_2m": Weather.temperature,
    "dew_point_2m": Weather.dew_point,
    "relative_humidity_2m": Weather.humidity,
    "pressure_msl": Weather.pressure,
    "surface_pressure": Weather.surface_pressure,
    "wind_speed_10m": Weather.wind_speed,
    "wind_gusts_10m": Weather.gusts,
    "wind_direction_10m": Weather.wind_direction,
    "precipitation": Weather.precipitation,
    "precipitation_probability": Weather.precipitation_probability,
    "snowfall": Weather.snowfall,
    "cloud_cover": Weather.cloud_cover,
    "visibility": Weather.visibility,
    "shortwave_radiation": Weather.radiation,
    "weather_code": Weather.weather_code,
}
VARIABLES = tuple(_OF)
