"""The parameters of GET /v1/forecast, read and refused as Open-Meteo does."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from skyblend.predict.serve.query import Column, Point, read
from skyblend.predict.serve.reading import BadQuery

HERE = "latitude=52.5&longitude=13.4"
DATES = "start_date=2026-11-20&end_date=2026-11-21"


def _names(query: str) -> list[str]:
    return [column.name for column in read(f"{HERE}&{query}").hourly]


def test_defaults_are_open_meteos() -> None:
    query = read(f"{HERE}&hourly=temperature_2m")
    assert query.points == (Point(52.5, 13.4),)
    assert query.hourly == (Column("temperature_2m"),)
    assert (query.zone, query.unixtime, query.period.days) == (None, False, 7)
    assert query.units == ("degC", "km/h", "mm")
    assert not query.is_list


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("hourly=temperature_2m_p10", ["temperature_2m_p10"]),
        ("hourly=temperature_2m,dew_point_2m", ["temperature_2m", "dew_point_2m"]),
        ("hourly=temperature_2m&hourly=dew_point_2m", ["temperature_2m", "dew_point_2m"]),
        (
            "hourly=temperature_2m&quantiles=p10,p90",
            ["temperature_2m", "temperature_2m_p10", "temperature_2m_p90"],
        ),
        (
            "hourly=temperature_2m&quantiles=0.05,.5,0.950",
            ["temperature_2m", "temperature_2m_p05", "temperature_2m_p50", "temperature_2m_p95"],
        ),
        (
            "hourly=temperature_2m_p10,temperature_2m&quantiles=p10",
            ["temperature_2m_p10", "temperature_2m"],
        ),
    ],
)
def test_quantiles_by_name_and_by_parameter(asked: str, names: list[str]) -> None:
    assert _names(asked) == names


def test_a_list_of_points_is_a_list() -> None:
    query = read("latitude=1,2&longitude=3,4&elevation=5,6")
    assert query.points == (Point(1, 3, 5), Point(2, 4, 6))
    assert query.is_list


def test_unknown_parameters_are_named_and_ignored() -> None:
    assert read(f"{HERE}&cell_selection=sea&models=gfs").notes == (
        "ignored parameters: cell_selection, models",
    )


def test_zone_auto_is_gmt_and_says_so() -> None:
    query = read(f"{HERE}&timezone=auto")
    assert query.zone is None
    assert "timezone=auto" in query.notes[0]


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("latitude=200.0&longitude=1", "Latitude must be in range of -90 to 90"),
        ("latitude=x&longitude=1", "Latitude must be in range of -90 to 90. Given: x."),
        ("latitude=nan&longitude=1", "Latitude must be in range"),
        ("latitude=1&longitude=-181", "Longitude must be in range of -180 to 180"),
        ("latitude=1,2&longitude=1", "same number of elements, at least one. Got 2 and 1"),
        ("hourly=temperature_2m", "Got 0 and 0"),
        (f"{HERE}&place=berlin", "either place, or latitude"),
        (f"{HERE}&elevation=1,2", "one element for each point"),
        (f"{HERE}&hourly=lksdfj", "hourly: unknown variable 'lksdfj'"),
        (f"{HERE}&hourly=temperature_2m_max", "unknown variable 'temperature_2m_max'"),
        (f"{HERE}&daily=temperature_2m", "daily: unknown variable 'temperature_2m'"),
        (f"{HERE}&hourly=temperature_2m_p07", "quantiles are _p05, _p10"),
        (f"{HERE}&hourly=temperature_2m&quantiles=p7", "Given: p7"),
        (f"{HERE}&quantiles=0.33", "Given: 0.33"),
        (f"{HERE}&timezone=Mars/Base", "Invalid timezone. Given: Mars/Base"),
        (f"{HERE}&timezone=../../etc/passwd", "Invalid timezone"),
        (f"{HERE}&timezone=Europe", "Invalid timezone"),
        (f"{HERE}&forecast_days=17", "Allowed range 1 to 16. Given 17"),
        (f"{HERE}&forecast_days=0", "Allowed range 1 to 16"),
        (f"{HERE}&forecast_days=-1", "Allowed range 1 to 16"),
        (f"{HERE}&past_days=93", "Past days is invalid. Allowed range 0 to 92. Given 93."),
        (f"{HERE}&past_days=-1", "Allowed range 0 to 92"),
        (f"{HERE}&forecast_hours=0", "Forecast hours is invalid. Allowed range 1 to 384"),
        (f"{HERE}&forecast_hours=385", "Given 385"),
        (f"{HERE}&past_hours=2209", "Past hours is invalid. Allowed range 0 to 2208"),
        (f"{HERE}&start_date=2026-11-20", "Both 'start_date' and 'end_date' must be set"),
        (f"{HERE}&end_date=2026-11-20", "Both 'start_date' and 'end_date' must be set"),
        (f"{HERE}&start_date=x&end_date=2026-11-20", "a date like 2026-11-20. Given: x"),
        (f"{HERE}&start_date=20261120&end_date=20261120", "start_date is a date like"),
        (f"{HERE}&start_date=2026-11-20&end_date=2026-02-30", "end_date is a date like"),
        (f"{HERE}&start_date=2026-11-20&end_date=2026-11-19", "must not be before 'start_date'"),
        (f"{HERE}&{DATES}&forecast_days=3", "Parameter 'forecast_days' is mutually exclusive"),
        (f"{HERE}&{DATES}&past_days=3", "Parameter 'past_days' is mutually exclusive"),
        (f"{HERE}&{DATES}&forecast_hours=3", "Parameter 'forecast_hours' is mutually exclusive"),
        (f"{HERE}&format=csv", "format: only json is answered here. Given: csv."),
        (f"{HERE}&timeformat=roman", "timeformat is one of iso8601, unixtime. Given: roman"),
        (f"{HERE}&temperature_unit=kelvin", "temperature_unit is one of celsius, fahrenheit"),
        ("latitude=" + "1," * 3000, "at most 4000 characters"),
        ("latitude=" + "1," * 101 + "&longitude=" + "1," * 101, "At most 100 points"),
        ("a=1&" * 65, "cannot be read"),
        ("latitude=%ff&longitude=1", "cannot be read"),
    ],
)
def test_bad_values_are_refused_by_name(query: str, reason: str) -> None:
    with pytest.raises(BadQuery) as refused:
        read(query)
    assert reason in str(refused.value)


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_is_asked_is_read_or_refused(name: str, value: str) -> None:
    for query in (f"{HERE}&{name}={value}", f"{name}={value}", value):
        try:
            found = read(query)
        except BadQuery:
            continue
        assert all(math.isfinite(point.latitude) for point in found.points)


def test_an_answer_is_bounded() -> None:
    # 100 points x 16 days x 24 h x 20 columns = 768,000 values; with two variables twice as many.
    position = f"latitude={','.join('1' * 100)}&longitude={','.join('1' * 100)}&forecast_days=16"
    levels = f"quantiles={','.join(f'p{level:02d}' for level in range(5, 100, 5))}"
    query = f"{position}&{levels}&hourly=temperature_2m"
    assert len(read(query).points) == 100
    with pytest.raises(BadQuery, match="At most 1000000 values in one answer, got 1536000"):
        read(f"{query},dew_point_2m")


def test_an_answer_is_bounded_by_the_hours_and_dates_that_are_asked() -> None:
    # 100 points x 109 days x 24 h x 20 columns; 100 points x (2208 + 384) h x 20 columns.
    points = f"latitude={','.join('1' * 100)}&longitude={','.join('1' * 100)}"
    levels = f"quantiles={','.join(f'p{level:02d}' for level in range(5, 100, 5))}"
    for period, count in (
        ("start_date=1900-01-01&end_date=2100-01-01", 5_232_000),
        ("past_hours=2208&forecast_hours=384", 5_184_000),
    ):
        with pytest.raises(BadQuery, match=f"got {count}"):
            read(f"{points}&{levels}&{period}&hourly=temperature_2m")
