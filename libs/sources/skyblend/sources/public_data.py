"""Station history from Google's public data sets, as SQL for BigQuery whose rows are a tidy file of
observations.

    gsod      `noaa_gsod`: daily summaries, days in UTC
    ghcn_d    `ghcn_d`: daily values that passed GHCN's own checks, days of the station's own time

Both name only the years and columns that are needed, since BigQuery charges for what is named; each
year is a table, named as it is, since a wildcard may match tables of other shapes as well. The
shapes of the tables are those of section 5 of NOAA's documents; the sentinels 9999.9 and 99.99 are
missing values there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

FIRST_YEAR = {"gsod": 1929, "ghcn_d": 1763}
Parameter = str | float | Sequence[str]


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement for BigQuery with its named parameters."""

    sql: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)


# A day's values belong to the day that ends at observed_at. PRCP is the whole day's only where its
# flag says so: D four 6-hour reports, F two 12-hour ones, G one of 24 hours; I with 0 is no zero.
_GSOD = """
SELECT
  CONCAT(day.stn, '-', day.wban) AS place_id,
  'gsod' AS source,
  'station' AS kind,
  station.lat AS latitude,
  station.lon AS longitude,
  SAFE_CAST(station.elev AS FLOAT64) AS elevation,
  TIMESTAMP(DATE_ADD(day.date, INTERVAL 1 DAY)) AS observed_at,
  TIMESTAMP(DATE_ADD(day.date, INTERVAL 3 DAY)) AS known_at,
  86400 AS period,
  ROUND((NULLIF(day.max, 9999.9) - 32) * 5 / 9, 2) AS temperature_2m_max,
  ROUND((NULLIF(day.min, 9999.9) - 32) * 5 / 9, 2) AS temperature_2m_min,
  CASE WHEN day.flag_prcp IN ('D', 'F', 'G') THEN ROUND(NULLIF(day.prcp, 99.99) * 25.4, 2) END
    AS precipitation_sum
FROM ({days}) AS day
JOIN `bigquery-public-data.noaa_gsod.stations` AS station
  ON station.usaf = day.stn AND station.wban = day.wban
WHERE CONCAT(day.stn, '-', day.wban) IN UNNEST(@stations)
ORDER BY place_id, observed_at
"""

# Elements come one a row, in tenths. A day is the station's own: it ends at midnight of its mean
# solar time, to the hour.
_GHCN = """
SELECT
  day.id AS place_id,
  'ghcn_d' AS source,
  'station' AS kind,
  station.latitude AS latitude,
  station.longitude AS longitude,
  station.elevation AS elevation,
  TIMESTAMP_SUB(
    TIMESTAMP(DATE_ADD(day.date, INTERVAL 1 DAY)),
    INTERVAL CAST(ROUND(station.longitude / 15) AS INT64) HOUR
  ) AS observed_at,
  TIMESTAMP(DATE_ADD(day.date, INTERVAL 3 DAY)) AS known_at,
  86400 AS period,
  MAX(CASE WHEN day.element = 'TMAX' THEN day.value / 10 END) AS temperature_2m_max,
  MAX(CASE WHEN day.element = 'TMIN' THEN day.value / 10 END) AS temperature_2m_min,
  MAX(CASE WHEN day.element = 'PRCP' THEN day.value / 10 END) AS precipitation_sum
FROM ({days}) AS day
JOIN `bigquery-public-data.ghcn_d.ghcnd_stations` AS station ON station.id = day.id
WHERE day.id IN UNNEST(@stations)
  AND day.element IN ('TMAX', 'TMIN', 'PRCP')
  AND COALESCE(day.qflag, '') = ''
  AND day.value != -9999
GROUP BY place_id, latitude, longitude, elevation, observed_at, known_at
ORDER BY place_id, observed_at
"""

_NEAR = """
SELECT id, name, latitude, longitude, elevation, ROUND(distance_m / 1000, 1) AS distance_km
FROM (
  SELECT
    {id} AS id, name, {latitude} AS latitude, {longitude} AS longitude, {elevation} AS elevation,
    ST_DISTANCE(ST_GEOGPOINT({longitude}, {latitude}), ST_GEOGPOINT(@longitude, @latitude))
      AS distance_m
  FROM `{table}`
  WHERE ABS({latitude}) <= 90 AND ABS({longitude}) <= 180
) AS station
WHERE distance_m <= @within_km * 1000
ORDER BY distance_m
LIMIT 20
"""
_STATIONS = {
    "gsod": {
        "table": "bigquery-public-data.noaa_gsod.stations",
        "id": "CONCAT(usaf, '-', wban)",
        "latitude": "lat",
        "longitude": "lon",
        "elevation": "SAFE_CAST(elev AS FLOAT64)",
    },
    "ghcn_d": {
        "table": "bigquery-public-data.ghcn_d.ghcnd_stations",
        "id": "id",
        "latitude": "latitude",
        "longitude": "longitude",
        "elevation": "elevation",
    },
}
_HISTORY = {"gsod": _GSOD, "ghcn_d": _GHCN}
_YEAR = {
    "gsod": (
        "SELECT stn, wban, date, max, min, prcp, flag_prcp"
        " FROM `bigquery-public-data.noaa_gsod.gsod{year}`"
    ),
    "ghcn_d": (
        "SELECT id, date, element, value, qflag FROM `bigquery-public-data.ghcn_d.ghcnd_{year}`"
    ),
}
DATA_SETS = tuple(_HISTORY)


def history(
    data_set: str, stations: Sequence[str], *, first_year: int, last_year: int
) -> Statement:
    """The daily maxima, minima and precipitation of stations; raises ValueError for what the data
    set cannot have. GSOD's stations are `USAF-WBAN`, GHCN's have 11 characters."""
    if not stations:
        raise ValueError("stations: expected one or more, got none")
    if not FIRST_YEAR[data_set] <= first_year <= last_year <= 9999:
        raise ValueError(
            f"years: expected a range from {FIRST_YEAR[data_set]} on, got {first_year}-{last_year}"
        )
    years = range(first_year, last_year + 1)
    days = " UNION ALL ".join(_YEAR[data_set].format(year=year) for year in years)
    return Statement(_HISTORY[data_set].format(days=days), {"stations": list(stations)})


def stations_near(
    data_set: str, latitude: float, longitude: float, *, within_km: float
) -> Statement:
    """The up to 20 nearest stations of a data set: id, name, position, distance in km."""
    given = {"latitude": latitude, "longitude": longitude, "within_km": within_km}
    return Statement(_NEAR.format(**_STATIONS[data_set]), given)
