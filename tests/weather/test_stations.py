import math

import numpy as np
import pytest
from skyblend.weather import stations

NAN = math.nan


def test_a_degree_of_latitude():
    # 6371.0088 km * pi / 180 = 111.1951
    assert stations.distance_km(10.0, 20.0, 11.0, 20.0) == pytest.approx(111.1951, abs=1e-4)


def test_across_the_date_line_and_to_the_antipode():
    # one degree of longitude at 60 N is half of 111.19, less the bend of the great circle
    assert stations.distance_km(60.0, 179.5, 60.0, -179.5) == pytest.approx(55.596, abs=2e-3)
    assert stations.distance_km(30.0, 10.0, -30.0, -170.0) == pytest.approx(math.pi * 6371.0088)


def test_boston_to_new_york():
    # Logan 42.36 N 71.01 W to LaGuardia 40.78 N 73.88 W, about 297 km
    assert stations.distance_km(42.36, -71.01, 40.78, -73.88) == pytest.approx(297, abs=2)


def test_nearest_with_its_height_difference():
    found = stations.nearest(
        48.0,
        11.0,
        latitudes=[47.0, 48.1, NAN],
        longitudes=[11.0, 11.0, 11.0],
        elevation=500.0,
        elevations=[2000.0, 650.0, 1.0],
    )
    assert found == stations.Nearest(1, pytest.approx(11.11951, abs=1e-5), 150.0)


def test_nowhere_near():
    assert stations.nearest(48.0, 11.0, latitudes=[NAN], longitudes=[NAN]) is None
    assert stations.nearest(48.0, 11.0, latitudes=[], longitudes=[]) is None
    assert stations.nearest(NAN, 11.0, latitudes=[48.0], longitudes=[11.0]) is None


def test_an_unknown_height_gives_no_difference():
    found = stations.nearest(48.0, 11.0, latitudes=[48.0], longitudes=[11.0])
    assert found is not None
    assert math.isnan(found.climb)


def test_k_nearest_leaves_the_station_itself_and_unknown_ones_out():
    index, distance = stations.k_nearest([0.0, 1.0, 3.0, NAN], [0.0, 0.0, 0.0, 0.0], k=3)
    np.testing.assert_array_equal(index, [[1, 2, -1], [0, 2, -1], [1, 0, -1], [-1, -1, -1]])
    # 1, 3 and 2 degrees of latitude
    np.testing.assert_allclose(distance[:2] / 111.1950802, [[1, 3, NAN], [1, 2, NAN]], rtol=1e-6)
