"""Of several observers of a place one is judged and heard: the one that it is verified against."""

import numpy as np
from skyblend.weather.quality import Cases, judge

T0 = np.datetime64("2026-01-01T00:00", "us")
HOUR = np.timedelta64(3600, "s")


def observed(values: list[float], source: list[int], hour: list[int], place: int = 0) -> Cases:
    count = len(values)
    return Cases(
        place=np.full(count, place),
        forecaster=np.array(source),
        period=np.zeros(count, np.int64),
        valid_at=T0 + np.array(hour) * HOUR,
        known_at=np.full(count, T0 + 1000 * HOUR),
        value=np.array(values),
    )


def chosen(rows: Cases, analysis: list[bool]) -> list[bool]:
    judged = judge(
        "temperature_2m", forecasts=Cases.none(), observations=rows, analysis=np.array(analysis)
    )
    return [bool(one) for one in judged.chosen]


def test_one_station_value_counts_before_any_number_of_analyses() -> None:
    rows = observed([1.0, 2.0, 3.0], [0, 0, 1], [0, 1, 0])
    assert chosen(rows, [True, True, False]) == [False, False, True]


def test_of_two_stations_the_one_that_observed_more_counts() -> None:
    rows = observed([1.0, 2.0, 3.0], [0, 1, 1], [0, 0, 1])
    assert chosen(rows, [False] * 3) == [False, True, True]


def test_of_equals_the_first_counts() -> None:
    assert chosen(observed([2.0, 1.0], [1, 0], [0, 0]), [False] * 2) == [False, True]


def test_a_missing_value_does_not_make_a_source_the_chosen_one() -> None:
    rows = observed([1.0, np.nan, np.nan], [0, 1, 1], [0, 0, 1])
    assert chosen(rows, [False] * 3) == [True, False, False]


def test_an_analysis_beside_a_station_has_no_verdict() -> None:
    # 40 K in an hour is a step in either series; only the station's counts, so only it is flagged.
    values = [1.0, 1.0, 41.0, 1.0, 1.0]
    rows = observed([*values, *values, 1.0], [0] * 5 + [1] * 6, [*range(5), *range(5), 5])
    judged = judge(
        "temperature_2m",
        forecasts=Cases.none(),
        observations=rows,
        analysis=np.array([True] * 5 + [False] * 6),
    )
    assert np.flatnonzero(judged.observations.flagged).tolist() == [7]
    assert [flag.check for flag in judged.observations.flags()] == ["step"]
