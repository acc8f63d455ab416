"""The SQL for Google's public data sets, parsed in BigQuery's dialect and run on small tables in
DuckDB after sqlglot's translation."""

import re
from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest
import sqlglot
from skyblend.sources.public_data import DATA_SETS, Statement, history, stations_near
from skyblend.sources.tidy_layout import OBSERVATIONS, layout_of

GSOD_DAY = (
    "stn VARCHAR, wban VARCHAR, date DATE, max DOUBLE, min DOUBLE, prcp DOUBLE, flag_prcp VARCHAR"
)
GSOD_STATION = "usaf VARCHAR, wban VARCHAR, name VARCHAR, lat DOUBLE, lon DOUBLE, elev VARCHAR"
GHCN_DAY = "id VARCHAR, date DATE, element VARCHAR, value DOUBLE, qflag VARCHAR"
GHCN_STATION = "id VARCHAR, name VARCHAR, latitude DOUBLE, longitude DOUBLE, elevation DOUBLE"
NAME = re.compile(r"`bigquery-public-data\.\w+\.(\w+)`")


def run(
    statement: Statement, *, days: str, rows: list[tuple[Any, ...]], stations: str, station: Any
) -> list[dict[str, Any]]:
    """The rows of a statement over a table of stations with one row, and tables of days of the
    years that it names; the last item of each row is its year."""
    (translated,) = sqlglot.transpile(
        NAME.sub(r"\1", statement.sql), read="bigquery", write="duckdb"
    )
    with duckdb.connect() as database:
        database.execute("SET TimeZone = 'UTC'")
        for name in set(NAME.findall(statement.sql)):
            year = name[-4:]
            chosen = (
                [row[:-1] for row in rows if row[-1] == year] if year.isdecimal() else [station]
            )
            columns = days if year.isdecimal() else stations
            database.execute(f"CREATE TABLE {name} ({columns})")
            for row in chosen:
                database.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
        found = database.sql(translated, params=dict(statement.parameters))
        return found.to_arrow_table().to_pylist()


def gsod(*days: tuple[Any, ...]) -> list[dict[str, Any]]:
    return run(
        history("gsod", ["103840-99999"], first_year=2020, last_year=2021),
        days=GSOD_DAY,
        rows=list(days),
        stations=GSOD_STATION,
        station=("103840", "99999", "BERLIN", 52.47, 13.4, "+0048.0"),
    )


def gsod_day(  # noqa: PLR0917
    station: str = "103840", date: str = "2020-12-31", high: float = 50.0, low: float = 32.0,
    rain: float = 0.5, flag: str = "G", year: str = "2020",
) -> tuple[Any, ...]:  # fmt: skip
    return station, "99999", date, high, low, rain, flag, year


def test_a_day_of_gsod_in_our_units() -> None:
    (row,) = gsod(gsod_day())
    assert row["place_id"] == "103840-99999"
    assert (row["latitude"], row["longitude"], row["elevation"]) == (52.47, 13.4, 48.0)
    assert row["observed_at"] == datetime(2021, 1, 1, tzinfo=UTC)
    assert row["known_at"] == datetime(2021, 1, 3, tzinfo=UTC)
    assert row["period"] == 86400
    assert row["temperature_2m_max"] == 10.0  # (50 - 32) * 5 / 9
    assert row["temperature_2m_min"] == 0.0
    assert row["precipitation_sum"] == 12.7  # 0.5 inch


def test_the_sentinels_of_gsod_are_missing_values() -> None:
    (row,) = gsod(gsod_day(high=9999.9, low=9999.9, rain=99.99))
    found = row["temperature_2m_max"], row["temperature_2m_min"], row["precipitation_sum"]
    assert found == (None, None, None)


@pytest.mark.parametrize(
    ("flag", "expected"),
    [("A", None), ("B", None), ("C", None), ("D", 0.0), ("E", None), ("F", 0.0), ("G", 0.0),
     ("H", None), ("I", None), (None, None)],
)  # fmt: skip
def test_rain_counts_only_where_the_whole_day_was_measured(
    flag: str | None, expected: float | None
) -> None:
    (row,) = gsod(gsod_day(rain=0.0, flag=flag))  # type: ignore[arg-type]
    assert row["precipitation_sum"] == expected


def test_only_the_years_and_stations_that_are_asked_for() -> None:
    rows = gsod(
        gsod_day(date="2019-12-31", year="2019"),
        gsod_day(date="2021-06-01", year="2021"),
        gsod_day(date="2022-01-01", year="2022"),
        gsod_day("999999", date="2021-06-02", year="2021"),
    )
    assert [row["observed_at"].date().isoformat() for row in rows] == ["2021-06-02"]


def ghcn(*days: tuple[Any, ...], longitude: float = 13.4) -> list[dict[str, Any]]:
    return run(
        history("ghcn_d", ["GME00111445"], first_year=2020, last_year=2020),
        days=GHCN_DAY,
        rows=list(days),
        stations=GHCN_STATION,
        station=("GME00111445", "BERLIN", 52.46, longitude, 51.0),
    )


def element(name: str, value: float, quality: str | None = None) -> tuple[Any, ...]:
    return "GME00111445", "2020-07-01", name, value, quality, "2020"


def test_the_elements_of_a_day_of_ghcn_become_one_row() -> None:
    rows = ghcn(element("TMAX", 251.0), element("TMIN", -12.0, ""), element("PRCP", 3.0))
    assert len(rows) == 1
    assert rows[0]["temperature_2m_max"] == 25.1
    assert rows[0]["temperature_2m_min"] == -1.2
    assert rows[0]["precipitation_sum"] == 0.3


@pytest.mark.parametrize(
    ("longitude", "ends"),
    [(13.4, "2020-07-01T23:00"), (-122.3, "2020-07-02T08:00"), (0.0, "2020-07-02T00:00")],
)
def test_a_day_of_ghcn_ends_at_the_midnight_of_its_place(longitude: float, ends: str) -> None:
    (row,) = ghcn(element("TMAX", 251.0), longitude=longitude)
    assert row["observed_at"].isoformat()[:16] == ends


def test_what_failed_the_checks_of_ghcn_is_left_out() -> None:
    rows = ghcn(element("TMAX", 999.0, "X"), element("TMIN", 100.0), element("PRCP", -9999.0))
    assert [row["temperature_2m_max"] for row in rows] == [None]
    assert [row["precipitation_sum"] for row in rows] == [None]


def test_each_year_is_named_and_nothing_else() -> None:
    found = NAME.findall(history("ghcn_d", ["x"], first_year=1999, last_year=2001).sql)
    assert found == ["ghcnd_1999", "ghcnd_2000", "ghcnd_2001", "ghcnd_stations"]


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_the_rows_are_a_tidy_file(data_set: str) -> None:
    tree = sqlglot.parse_one(
        history(data_set, ["x"], first_year=2000, last_year=2000).sql, read="bigquery"
    )
    assert layout_of(tree.named_selects) is OBSERVATIONS


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_every_statement_is_one_of_bigquery(data_set: str) -> None:
    near = stations_near(data_set, 52.5, 13.4, within_km=25.0)
    for statement in (near, history(data_set, ["x"], first_year=2000, last_year=2001)):
        tree = sqlglot.parse_one(statement.sql, read="bigquery")
        names = {one.name for one in tree.find_all(sqlglot.exp.Parameter)}
        assert names == set(statement.parameters)


@pytest.mark.parametrize(
    ("years", "stations"), [((1900, 2000), ["x"]), ((2021, 2020), ["x"]), ((2020, 2021), [])]
)
def test_what_the_data_set_cannot_have_is_refused(
    years: tuple[int, int], stations: list[str]
) -> None:
    with pytest.raises(ValueError, match="expected"):
        history("gsod", stations, first_year=years[0], last_year=years[1])
