"""`skyblend places`: the places that forecasts are made for."""

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import click
from skyblend.cli.session import Session, pass_session
from skyblend.cli.texts import read_text
from skyblend.protos.v1.records_pb2 import Place

# A column of the file -> the field of a place that it gives; the first name that is there counts.
_COLUMNS = {
    "id": ("id", "place_id", "bulletin_city"),
    "latitude": ("lat", "latitude"),
    "longitude": ("lon", "longitude"),
    "elevation": ("elevation", "elevation_m"),
    "name": ("name",),
}


@click.group()
def places() -> None:
    """The places that forecasts are made for.

    A place that is imported or added is forecast from what you upload. With --collect the
    providers are asked for it as well, as far as their quotas allow.
    """


@places.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--collect", is_flag=True, help="Also ask the providers for these places.")
@pass_session
def import_places(session: Session, file: Path, collect: bool) -> None:
    """Read places from the CSV file FILE.

    Columns: id (or place_id, bulletin_city), lat (latitude), lon (longitude), and, if there,
    elevation (elevation_m) in m and name. Others are ignored and named once. A place that is
    known already gets the new position. One bad line refuses the file: nothing is half-imported.

    \b
      skyblend places import scs_cities.csv
    """
    lines = csv.reader(io.StringIO(read_text(file), newline=""))
    _add(session, list(read(lines, collect=collect)))


@places.command("add")
@click.argument("place_id", metavar="ID")
@click.option("--lat", "latitude", type=float, required=True, help="Degrees, north positive.")
@click.option("--lon", "longitude", type=float, required=True, help="Degrees, east positive.")
@click.option("--elevation", type=float, help="m above the sea.")
@click.option("--name", default="", help="Shown to people; default: the id.")
@click.option("--collect", is_flag=True, help="Also ask the providers for this place.")
@pass_session
def add_place(
    session: Session,
    place_id: str,
    *,
    latitude: float,
    longitude: float,
    elevation: float | None,
    name: str,
    collect: bool,
) -> None:
    """Add the place ID, or change it.

    \b
      skyblend places add Zugspitze --lat 47.42 --lon 10.99 --elevation 2962 --collect
    """
    place = Place(id=place_id, latitude=latitude, longitude=longitude, name=name, collect=collect)
    if elevation is not None:
        place.elevation = elevation
    _add(session, [place])


@places.command("list")
@pass_session
def list_places(session: Session) -> None:
    """Show the places with their position, and whether providers are asked for them."""
    from skyblend.runtime.places import read as known

    for place in known(session.reading().storage).values():
        click.echo(_line(place))


def _add(session: Session, found: list[Place]) -> None:
    """Add them all or none; a place that is collected already stays so."""
    from skyblend.ingest.places import add
    from skyblend.runtime.places import read as known

    runtime = session.runtime()
    before = known(runtime.storage)
    for place in found:
        place.collect = place.collect or before.get(place.id, Place()).collect
    changed = add(runtime, found, replace=True)
    click.echo(f"{len(found)} places, {len(changed)} of them new or changed")


def read(lines: Iterator[list[str]], *, collect: bool) -> Iterator[Place]:
    """The places of a CSV table; raises ClickException for a column or line that cannot be used."""
    header = [name.strip() for name in next(lines, [])]
    columns = _columns(header)
    seen: dict[str, int] = {}
    for number, cells in enumerate(lines, start=2):
        if not any(cells):
            continue
        place = _place(number, cells, columns, collect)
        if place.id in seen:
            raise click.ClickException(f"line {number}: {place.id} is on line {seen[place.id]} too")
        seen[place.id] = number
        yield place


def _columns(header: list[str]) -> dict[str, int]:
    found = {
        field: header.index(name)
        for field, names in _COLUMNS.items()
        for name in reversed(names)
        if name in header
    }
    missing = [
        " or ".join(_COLUMNS[field])
        for field in ("id", "latitude", "longitude")
        if field not in found
    ]
    if missing:
        raise click.ClickException(
            f"line 1: expected a column {', and a column '.join(missing)}; "
            f"got {', '.join(header) or 'nothing'}"
        )
    if len(set(header)) < len(header):
        twice = sorted({name for name in header if header.count(name) > 1})
        raise click.ClickException(
            f"line 1: expected each column once, got twice: {', '.join(twice)}"
        )
    ignored = [name for number, name in enumerate(header) if number not in found.values()]
    if ignored:
        click.echo(f"ignored columns: {', '.join(ignored)}", err=True)
    return found


def _place(number: int, cells: list[str], columns: dict[str, int], collect: bool) -> Place:
    row = {field: cells[at].strip() if at < len(cells) else "" for field, at in columns.items()}
    place = Place(id=row["id"], name=row.get("name", ""), collect=collect)
    for field in ("latitude", "longitude", "elevation"):
        if row.get(field):
            setattr(place, field, _number(number, field, row[field]))
    _check(number, place)
    return place


def _number(line: int, field: str, given: str) -> float:
    try:
        return float(given)
    except ValueError:
        raise click.ClickException(
            f"line {line}: {field}: expected a number, got {given!r}"
        ) from None


def _check(line: int, place: Place) -> None:
    from skyblend.runtime.places import BadPlace, check

    try:
        check(place)
    except BadPlace as bad:
        raise click.ClickException(f"line {line}: {bad}") from None


def _line(place: Place) -> str:
    position = (
        f"{place.latitude:9.4f} {place.longitude:10.4f}" if place.HasField("latitude") else ""
    )
    elevation = f"{place.elevation:7.0f} m" if place.HasField("elevation") else ""
    how = "asked of providers" if place.collect else ""
    return f"{place.id:<24} {position:<20} {elevation:<9} {how}".rstrip()
