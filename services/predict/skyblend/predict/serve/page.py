"""What the page reads: the places, the ages of their sources, and one series with its members.

Compact on purpose: times are seconds since 1970 (UTC), values stand in arrays beside them, null
where there is none.
"""

import math
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from skyblend.predict.serve.answer import Json, attributions, describe, sources
from skyblend.protos.v1.api_pb2 import Contribution, Issued, IssuedSeries
from skyblend.protos.v1.records_pb2 import Place, RunSeries
from skyblend.protos.v1.variables_pb2 import Variable
from skyblend.weather.variables import BY_NAME


def place_row(place: Place, issued: Issued | None, *, simulated: bool) -> Json:
    """A line of `GET /v1/places`."""
    return {
        "id": place.id,
        "name": place.name or place.id,
        "latitude": place.latitude if place.HasField("latitude") else None,
        "longitude": place.longitude if place.HasField("longitude") else None,
        "elevation": place.elevation if place.HasField("elevation") else None,
        "collect": place.collect,
        "issued_at": _time(issued.issued_at.ToDatetime(UTC)) if issued else None,
        "newest_source_at": _newest(issued) if issued else None,
        "note": issued.note if issued else "no forecast has been issued yet",
        "series": [describe(series) for series in issued.series] if issued else [],
        "simulated": simulated,
    }


def sources_row(issued: Issued, now: datetime) -> Json:
    """The answer of `GET /v1/sources?place=`."""
    return {
        "place": issued.place.id,
        "issued_at": _time(issued.issued_at.ToDatetime(UTC)),
        "simulated": issued.simulated,
        "sources": sources(issued, now),
        "missing": list(issued.missing),
        "note": issued.note,
    }


def series_row(issued: Issued, variable: str, period: int | None) -> Json | None:
    """The answer of `GET /v1/series?place=&variable=`; None where there is no such series."""
    if (series := _chosen(issued.series, variable, period)) is None:
        return None
    width = len(series.level)
    return {
        "place": issued.place.id,
        "name": issued.place.name or issued.place.id,
        "issued_at": _time(issued.issued_at.ToDatetime(UTC)),
        "simulated": issued.simulated,
        "note": issued.note,
        "attribution": attributions(issued),
        "variable": variable,
        "unit": BY_NAME[variable].unit,
        "period": series.period,
        "model": series.model_id or None,
        "time": list(series.valid_at),
        "mean": _values(series.mean),
        "quantiles": {
            f"p{round(level * 100):02d}": _values(series.quantile[row::width])
            for row, level in enumerate(series.level)
        },
        "forecasters": list(series.forecasters),
        "members": [
            _member(contribution, member, list(series.valid_at))
            for contribution, member in zip(issued.sources, issued.members, strict=False)
            if (member.variable, member.period) == (series.variable, series.period)
        ],
    }


def _chosen(
    all_series: Iterable[IssuedSeries], variable: str, period: int | None
) -> IssuedSeries | None:
    """The series of the period, or with None that of the usual one, else the longest."""
    usual = BY_NAME[variable].default_period if variable in BY_NAME else 0
    fitting = [
        series
        for series in all_series
        if Variable.Name(series.variable).lower() == variable and period in (None, series.period)
    ]
    return max(fitting, key=lambda s: (s.period == usual, s.period), default=None)


def _member(contribution: Contribution, member: RunSeries, times: list[int]) -> Json:
    """A forecaster's own values at the series' times."""
    values = dict(zip(member.valid_at, member.value, strict=True))
    name = "/".join(filter(None, (contribution.source, contribution.model)))
    return {
        "name": name,
        "issued_at": _time(contribution.issued_at.ToDatetime(UTC)),
        "values": _values(values.get(time, math.nan) for time in times),
    }


def _values(values: Iterable[float]) -> list[Any]:
    return [round(value, 2) if math.isfinite(value) else None for value in values]


def _newest(issued: Issued) -> str | None:
    times = [contribution.issued_at.ToDatetime(UTC) for contribution in issued.sources]
    return _time(max(times)) if times else None


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H:%M:%SZ}"
