"""`skyblend history`: years of station observations straight from Google's public data sets."""

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING

import click
from skyblend.cli.session import Session, pass_session
from skyblend.cli.times import now

if TYPE_CHECKING:
    import pyarrow as pa
    from skyblend.ingest.uploads import StoredUpload
    from skyblend.runtime.place import Runtime
    from skyblend.runtime.tables.bigquery.connection import Connection
    from skyblend.sources.public_data import Statement

LOCATION = "US"  # where Google keeps its public data sets; a query runs where its tables are
_DATA_SET = click.Choice(["gsod", "ghcn_d"])


class Years(click.ParamType[tuple[int, int]]):
    """A year or a range of years, `2020` or `2015-2024`."""

    name = "YEARS"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, int]:
        if isinstance(value, tuple):
            return value
        found = re.fullmatch(r"(\d{4})(?:-(\d{4}))?", str(value))
        if found is None:
            self.fail(f"expected a year or a range like 2015-2024, got {value!r}", param, ctx)
        return int(found[1]), int(found[2] or found[1])


@click.group()
def history() -> None:
    """Years of station observations straight from Google's public data sets.

    Needs BigQuery (SKYBLEND_TABLES=bigquery). A query tells its bytes before it runs, and runs only
    below SKYBLEND_QUERY_LIMIT.

    \b
      skyblend history stations gsod --near 52.52,13.41
      skyblend history fetch gsod --station 103840-99999 --years 2015-2024 --place Berlin
    """


@history.command()
@click.argument("data_set", type=_DATA_SET)
@click.option("--near", required=True, metavar="LAT,LON", help="In degrees.")
@click.option(
    "--within", type=click.FloatRange(0, 500), default=25.0, show_default=True, help="km."
)
@pass_session
def stations(session: Session, data_set: str, *, near: str, within: float) -> None:
    """List the stations of DATA_SET near a point: id, distance, elevation, name."""
    from skyblend.sources.public_data import stations_near

    latitude, longitude = _point(near)
    statement = stations_near(data_set, latitude, longitude, within_km=within)
    found = _rows(_connection(session.runtime()), statement)
    for row in found.to_pylist():
        click.echo(
            f"{row['id']:<14} {row['distance_km']:6.1f} km {row['elevation'] or 0:7.0f} m  "
            f"{row['name']}"
        )
    if not found.num_rows:
        raise click.ClickException(f"{data_set} has no station within {within:g} km of {near}")


@history.command()
@click.argument("data_set", type=_DATA_SET)
@click.option("--station", "chosen", multiple=True, required=True, help="May be repeated.")
@click.option("--years", type=Years(), required=True, help="2020 or 2015-2024.")
@click.option("--place", default="", help="The place whose observations they are; default: its id.")
@click.option("--dry-run", is_flag=True, help="Only tell how many bytes the query would read.")
@pass_session
def fetch(
    session: Session,
    data_set: str,
    *,
    chosen: tuple[str, ...],
    years: tuple[int, int],
    place: str,
    dry_run: bool,
) -> None:
    """Take in daily maxima, minima and precipitation of stations of DATA_SET.

    What the query gives is stored raw as a tidy file and goes the way of every upload: checked,
    recorded, repeatable. GSOD's days are UTC days; those of GHCN end at the station's own midnight.
    """
    from skyblend.sources.public_data import history as statement_of

    if place and len(chosen) > 1:
        raise click.UsageError(f"--place: expected one --station with it, got {len(chosen)}")
    runtime, (first, last) = session.runtime(), years
    connection = _connection(runtime)
    statement = statement_of(data_set, chosen, first_year=first, last_year=last)
    size = connection.bytes_of(statement.sql, statement.parameters)
    click.echo(f"the query reads {size / 1e6:,.1f} MB", err=True)
    if dry_run:
        return
    found = _rows(connection, statement)
    if not found.num_rows:
        raise click.ClickException(
            f"{data_set} has nothing of {', '.join(chosen)} from {first} to {last}"
        )
    name = f"{data_set}-{chosen[0]}-{first}-{last}.parquet"
    stored = store(runtime, found, place=place, file_name=name)
    click.echo(f"{found.num_rows} days {'stored' if stored.created else 'already'} {stored.object}")


def store(runtime: "Runtime", found: "pa.Table", *, place: str, file_name: str) -> "StoredUpload":
    """Store rows as an uploaded tidy file; the same rows are the same file."""
    import pyarrow as pa
    import pyarrow.parquet as pq
    from skyblend.ingest import uploads

    if place:
        column = found.schema.get_field_index("place_id")
        found = found.set_column(column, "place_id", pa.array([place] * found.num_rows))
    stream = io.BytesIO()
    pq.write_table(found, stream, compression="zstd")
    stream.seek(0)
    return uploads.store(runtime, stream, file_name=file_name, source="tidy", now=now())


def _connection(runtime: "Runtime") -> "Connection":
    from skyblend.runtime.settings import BIGQUERY
    from skyblend.runtime.tables.bigquery.connection import Connection

    if runtime.settings.tables != BIGQUERY:
        raise click.ClickException(
            "the public data sets are in BigQuery: expected SKYBLEND_TABLES=bigquery, got "
            f"{runtime.settings.tables}"
        )
    return Connection(replace(runtime.settings, location=LOCATION))


def _rows(connection: "Connection", statement: "Statement") -> "pa.Table":
    return connection.rows(statement.sql, statement.parameters)


def _point(text: str) -> tuple[float, float]:
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*", text)
    if found is None or abs(float(found[1])) > 90 or abs(float(found[2])) > 180:
        raise click.UsageError(f"--near: expected LAT,LON in degrees, got {text!r}")
    return float(found[1]), float(found[2])
