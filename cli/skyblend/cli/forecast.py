"""`skyblend forecast`: the blended forecast of a place, now or as it would have been."""

import json
import shlex
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import click
from skyblend.cli import times
from skyblend.cli.session import Session, pass_session

if TYPE_CHECKING:
    from skyblend.protos.v1.api_pb2 import Issued, IssuedSeries
    from skyblend.protos.v1.records_pb2 import Latest, Place
    from skyblend.runtime.place import Runtime
    from skyblend.runtime.settings import Settings

_SHOWN = (0.1, 0.5, 0.9)


@click.command()
@click.option("--place", "place_id", required=True, help="`skyblend places list` shows them.")
@click.option(
    "--at", type=times.Instant(), help="As it would have been at this time; default: now."
)
@click.option("--json", "as_json", is_flag=True, help="All quantiles, as one JSON object.")
@pass_session
def forecast(session: Session, *, place_id: str, at: datetime | None, as_json: bool) -> None:
    """Show the blended forecast of a place: the mean, the median and the 80 % band.

    With --at only what was known then is used, and the model that was in use then. Where no source
    is fresh enough it says so, names the newest and ends with exit code 1.

    \b
      skyblend forecast --place Berlin
      skyblend forecast --place BOSTON --at 2021-12-31T13:00Z --json
    """
    from skyblend.predict.serve.champions import champions_at
    from skyblend.predict.serve.computing import issue_place

    runtime = session.reading()
    place = _place(runtime, place_id)
    time = at or times.now()
    issued = issue_place(
        place,
        _latest(runtime, place_id, at),
        champions_at(runtime.storage, time),
        now=time,
        simulated=runtime.settings.is_simulated,
    )
    if as_json:
        click.echo(json.dumps(as_dict(issued)))
    else:
        for line in _lines(issued):
            click.echo(line)
    if issued.note:
        click.echo(issued.note, err=True)
    if not issued.series:
        raise click.exceptions.Exit(1)


def as_dict(issued: "Issued") -> dict[str, Any]:
    """An issue as JSON: per series (`variable/period`) the times, means and quantiles."""
    return {
        "place": issued.place.id,
        "issued_at": times.text(issued.issued_at.ToDatetime(UTC)),
        "simulated": issued.simulated,
        "note": issued.note,
        "sources": sorted({f"{one.source}/{one.model}".rstrip("/") for one in issued.sources}),
        "attribution": _terms(issued),
        "missing": list(issued.missing),
        "series": {_key(one): _series(one) for one in issued.series},
    }


def _series(series: "IssuedSeries") -> dict[str, Any]:
    return {
        "model_id": series.model_id,
        "valid_at": [_time(at) for at in series.valid_at],
        "mean": list(series.mean),
        "quantiles": {f"{level:.2f}": _column(series, level) for level in series.level},
    }


def _terms(issued: "Issued") -> list[str]:
    """The terms of the data used, a line for each provider."""
    from skyblend.sources.registry import terms

    known = [terms(source) for source in sorted({one.source for one in issued.sources})]
    return sorted({", ".join(filter(None, (one.text, one.licence, one.url))) for one in known})


def _lines(issued: "Issued") -> Iterator[str]:
    if issued.simulated:
        yield "SIMULATED: every number is made up"
    for series in issued.series:
        yield f"{_key(series)}  {issued.place.name or issued.place.id}"
        yield f"  {'valid at':<22}{'mean':>8}" + "".join(f"{_name(one):>8}" for one in _SHOWN)
        columns = [_column(series, level) for level in _SHOWN]
        for at, mean, *quantiles in zip(series.valid_at, series.mean, *columns, strict=True):
            yield f"  {_time(at):<22}" + "".join(f"{one:8.1f}" for one in (mean, *quantiles))
    yield from _terms(issued)


def _column(series: "IssuedSeries", level: float) -> list[float]:
    """The quantile of a level at each valid time."""
    at = min(range(len(series.level)), key=lambda index: abs(series.level[index] - level))
    return list(series.quantile[at :: len(series.level)])


def _latest(runtime: "Runtime", place_id: str, at: datetime | None) -> "Latest":
    """The newest runs as of `at` from the tables, or the newest there are; where there is none to
    issue from, the newest forecast that is known, so that its time can be told."""
    from skyblend.predict.train.history import latest_as_of
    from skyblend.runtime.latest.reader import read_one

    if at is not None:
        found = latest_as_of(runtime.tables, place_id, at)
        return found if found.runs else _newest(runtime, place_id, at)
    found_now = read_one(runtime.storage, place_id)
    return _newest(runtime, place_id, times.now()) if found_now is None else found_now


def _newest(runtime: "Runtime", place_id: str, at: datetime) -> "Latest":
    """The newest forecast of a place that was known at `at`, however old."""
    from skyblend.predict.blend.series import BLENDED
    from skyblend.protos.v1.records_pb2 import Latest
    from skyblend.protos.v1.variables_pb2 import Variable
    from skyblend.runtime.tables import Query

    latest = Latest(place_id=place_id)
    query = Query(variables=tuple(BLENDED), places=(place_id,), as_of=at)
    table = runtime.tables.forecasts(query)
    newest = table.sort_by([("issued_at", "descending")]).slice(0, 1).to_pylist()
    for row in newest:
        run = latest.runs.add(source=row["source"], model=row["model"], raw=row["raw"])
        run.issued_at.FromDatetime(row["issued_at"])
        run.known_at.FromDatetime(row["known_at"])
        name = next(name for name in BLENDED if row[name] is not None)
        series = run.series.add(variable=Variable.Value(name.upper()), period=row["period"])
        series.valid_at.append(int(row["valid_at"].timestamp()))
        series.value.append(row[name])
    return latest


def _place(runtime: "Runtime", place_id: str) -> "Place":
    from skyblend.runtime import places

    known = places.read(runtime.storage)
    if place_id not in known:
        hint = _in_other_half(runtime.settings, place_id) or _near(place_id, known)
        raise click.ClickException(f"no place {place_id}: {hint}")
    return known[place_id]


def _near(place_id: str, known: "Mapping[str, Place]") -> str:
    close = get_close_matches(place_id, known, n=3)
    return f"perhaps {' or '.join(close)}" if close else "`skyblend places list` shows all"


def _in_other_half(settings: "Settings", place_id: str) -> str:
    """How to ask the other half of the data folder, where that has the place; else empty."""
    from skyblend.runtime import places
    from skyblend.runtime.storage.folder import FolderStorage

    other, option = ("live", "--live") if settings.is_simulated else ("simulated", "--simulate")
    bucket = settings.data / other / "bucket"
    if not bucket.is_dir() or place_id not in places.read(FolderStorage(bucket)):
        return ""
    place = shlex.quote(place_id)
    return f"the {other} half has it: skyblend {option} forecast --place {place}"


def _key(series: "IssuedSeries") -> str:
    from skyblend.protos.v1.variables_pb2 import Variable

    return f"{Variable.Name(series.variable).lower()}/{series.period}"


def _time(seconds: int) -> str:
    return times.text(datetime.fromtimestamp(seconds, UTC))


def _name(level: float) -> str:
    return f"p{level * 100:.0f}"
