"""Distances between places and stations, and which are nearest.

Positions are degrees north and east, elevations m, distances km. An unknown position is NaN and is
never near anything.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG


@dataclass(frozen=True, slots=True)
class Nearest:
    """The station nearest to a point; `climb` is its elevation minus the point's, or NaN."""

    index: int
    distance_km: float
    climb: float


def distance_km(
    latitude: ArrayLike, longitude: ArrayLike, other_latitude: ArrayLike, other_longitude: ArrayLike
) -> Floats:
    """Great-circle distance by the haversine formula (Sinnott 1984), broadcast over the inputs.

    2 R asin(sqrt(sin^2(dphi / 2) + cos(phi1) cos(phi2) sin^2(dlambda / 2))).
    """
    phi, other_phi = np.radians(_floats(latitude)), np.radians(_floats(other_latitude))
    turn = np.radians(_floats(other_longitude)) - np.radians(_floats(longitude))
    chord = np.sin((other_phi - phi) / 2) ** 2
    chord = chord + np.cos(phi) * np.cos(other_phi) * np.sin(turn / 2) ** 2
    return np.asarray(2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.minimum(chord, 1.0))))


def nearest(
    latitude: float,
    longitude: float,
    *,
    latitudes: ArrayLike,
    longitudes: ArrayLike,
    elevation: float = math.nan,
    elevations: ArrayLike | None = None,
) -> Nearest | None:
    """The nearest station, the first of equally near ones; None where none has a position."""
    distance = distance_km(latitude, longitude, latitudes, longitudes)
    if np.isnan(distance).all():
        return None
    index = int(np.nanargmin(distance))
    height = math.nan if elevations is None else float(_floats(elevations)[index])
    return Nearest(index, float(distance[index]), height - elevation)


def k_nearest(
    latitudes: ArrayLike, longitudes: ArrayLike, *, k: int
) -> tuple[NDArray[np.intp], Floats]:
    """For each of n stations the indices [n, k] and distances [n, k] of the k nearest others.

    Ascending by distance. Where fewer than k are known the index is -1 and the distance NaN.
    Memory grows with n * n: for some thousand stations.
    """
    lat, lon = _floats(latitudes), _floats(longitudes)
    distance = distance_km(lat[:, np.newaxis], lon[:, np.newaxis], lat, lon)
    np.fill_diagonal(distance, np.nan)
    order = np.argsort(distance, axis=1, kind="stable")[:, :k]
    found = np.full((lat.size, k), np.nan)
    index = np.full((lat.size, k), -1)
    index[:, : order.shape[1]] = order
    found[:, : order.shape[1]] = np.take_along_axis(distance, order, axis=1)
    return np.where(np.isnan(found), -1, index), found


def _floats(values: ArrayLike) -> Floats:
    return np.asarray(values, dtype=np.float64)
