"""Which places are near each other: a kernel of great-circle distance and height."""

import numpy as np
from skyblend.predict.blend.columns import Floats, Ints
from skyblend.weather.stations import distance_km

NEIGHBOURS = 24
DISTANCE_KM, HEIGHT_M = 150.0, 400.0


def nearness(position: Floats, others: Floats) -> Floats:
    """Kernel weights [n, m] of positions [n, 3] and others [m, 3]: latitude, longitude,
    elevation. An unknown elevation counts as one kernel width away, an unknown position as
    nowhere near."""
    each, other = position[:, None, :], others[None, :, :]
    far = distance_km(each[..., 0], each[..., 1], other[..., 0], other[..., 1]) / DISTANCE_KM
    high = (position[:, 2][:, None] - others[:, 2][None, :]) / HEIGHT_M
    weight = np.exp(-0.5 * (far**2 + np.where(np.isnan(high), 1.0, high) ** 2))
    return np.where(np.isfinite(weight), weight, 0.0)


def neighbours(position: Floats) -> tuple[Ints, Floats]:
    """For each place its nearest others [places, k] and their weights; the place itself never
    counts."""
    weight = nearness(position, position)
    np.fill_diagonal(weight, 0.0)
    count = min(NEIGHBOURS, len(position))
    best = np.argsort(-weight, axis=1, kind="stable")[:, :count]
    return best, np.take_along_axis(weight, best, axis=1)
