"""The forecast of one place from its newest runs and the champions: pure, for issuing and for
`forecast --at`."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from skyblend.predict.blend.predict import Blend, predict
from skyblend.predict.blend.series import BLENDED, LEVELS, forecaster
from skyblend.predict.serve.champions import Champions
from skyblend.protos.v1.api_pb2 import Contribution, Issued
from skyblend.protos.v1.records_pb2 import Latest, Place, Run, RunSeries
from skyblend.protos.v1.variables_pb2 import Variable

OLDEST_RUN: Final = timedelta(days=5)  # since its issue; an older one does not count
OLDEST_MODEL: Final = timedelta(days=30)  # since its training; an older one is told
FORMAT: Final = 3  # of the inputs' hash; a change of what is issued raises it


def issue_place(
    place: Place, latest: Latest, champions: Champions, *, now: datetime, simulated: bool = False
) -> Issued:
    """The forecast of a place at `now`; pure. Without a run that counts it has no series and a note
    that says so."""
    runs = counting(latest, now)
    blends = predict(champions.models, runs, place=place, now=now)
    issued = Issued(place=place, simulated=simulated)
    issued.issued_at.FromDatetime(now)
    issued.inputs = inputs(place, latest, champions, now=now, simulated=simulated)
    for blend in blends:
        _add(issued, blend, runs, now)
    issued.missing.extend(dict.fromkeys(name for blend in blends for name in blend.missing))
    issued.note = _note(blends, latest, champions, now)
    return issued


def counting(latest: Latest, now: datetime) -> Latest:
    """The runs that count at `now`: known, of the last five days, with a valid time left."""
    runs = [run for run in latest.runs if _counts(run, now)]
    return Latest(place_id=latest.place_id, runs=runs)


def inputs(
    place: Place, latest: Latest, champions: Champions, *, now: datetime, simulated: bool = False
) -> str:
    """The hash of what an issue is made of: the place, the values of the runs that count, the
    champions and the hour, since ages grow. When and how often the same values arrived does not
    matter."""
    runs = sorted(counting(latest, now).runs, key=lambda run: (run.source, run.model))
    hour = int(now.timestamp()) // 3600 if runs else 0
    digest = hashlib.sha256(f"{FORMAT} {hour} {simulated} ".encode())
    digest.update(place.SerializeToString(deterministic=True))
    for run in runs:
        meaning = Run(
            source=run.source, model=run.model, issued_at=run.issued_at, series=run.series
        )
        digest.update(meaning.SerializeToString(deterministic=True))
    for key, reference in sorted(champions.references.items()):
        digest.update(f"{key} {reference.model_id} {reference.sha256}\n".encode())
    return digest.hexdigest()


def members_of(issued: Issued, latest: Latest) -> list[RunSeries]:
    """The members of an issue that was read from the ledger, as far as `latest` still has their
    runs."""
    runs = {(r.source, r.model, r.issued_at.ToNanoseconds()): r for r in latest.runs}
    at = issued.issued_at.ToDatetime(UTC)

    def member(source: Contribution) -> RunSeries:
        run = runs.get((source.source, source.model, source.issued_at.ToNanoseconds()), Run())
        return _member(run, source, at)

    return [member(source) for source in issued.sources]


def _counts(run: Run, now: datetime) -> bool:
    issued_at = run.issued_at.ToDatetime(UTC)
    known = run.known_at.ToDatetime(UTC) <= now
    ahead = any(part.valid_at and part.valid_at[-1] > now.timestamp() for part in run.series)
    return known and ahead and now - issued_at <= OLDEST_RUN


def _add(issued: Issued, blend: Blend, runs: Latest, now: datetime) -> None:
    """One series, and beside it what the forecasters themselves said."""
    variable = Variable.Value(blend.series.variable.upper())
    issued.series.add(
        variable=variable,
        period=blend.series.period,
        model_id=blend.model_id,
        valid_at=blend.valid_at.tolist(),
        mean=blend.mean.tolist(),
        level=LEVELS.tolist(),
        quantile=blend.quantiles.ravel().tolist(),
        forecasters=blend.forecasters.tolist(),
    )
    for number in blend.used:
        run = runs.runs[number]
        source = issued.sources.add(
            source=run.source,
            model=run.model,
            issued_at=run.issued_at,
            received_at=run.received_at,
            variable=variable,
            period=blend.series.period,
            attribution=run.attribution if run.HasField("attribution") else None,
        )
        issued.members.append(_member(run, source, now))


def _member(run: Run, source: Contribution, now: datetime) -> RunSeries:
    """The run's own series beside its contribution, after `now`; empty where the run has none."""
    member = RunSeries(variable=source.variable, period=source.period)
    after = now.timestamp()
    for part in run.series:
        if (part.variable, part.period) == (source.variable, source.period):
            later = [row for row, time in enumerate(part.valid_at) if time > after]
            member.valid_at.extend(part.valid_at[row] for row in later)
            member.value.extend(part.value[row] for row in later)
    return member


def _note(blends: Sequence[Blend], latest: Latest, champions: Champions, now: datetime) -> str:
    """What a reader must know: no fresh source, a spread that no model stands behind, or a model of
    long ago."""
    if not blends:
        return _no_source(latest, now)
    return "; ".join(filter(None, (_without_model(blends), _old_model(blends, champions, now))))


def _without_model(blends: Sequence[Blend]) -> str:
    plain = [blend.series.key for blend in blends if not blend.model_id]
    if not plain:
        return ""
    return f"no model serves {', '.join(plain)} yet: the mean of the sources with a default spread"


def _old_model(blends: Sequence[Blend], champions: Champions, now: datetime) -> str:
    """The training of the oldest model that serves, where it is long ago."""
    served = [blend.series.key for blend in blends if blend.model_id]
    trained = [champions.references[key].trained_at for key in served]
    if not trained or now - (oldest := min(trained)) <= OLDEST_MODEL:
        return ""
    which = "the model" if len({at.date() for at in trained}) == 1 else "the oldest model"
    return f"{which} was trained on {oldest:%Y-%m-%d}, {(now - oldest).days} days ago"


def _no_source(latest: Latest, now: datetime) -> str:
    known = [run for run in latest.runs if run.known_at.ToDatetime(UTC) <= now and _is_blended(run)]
    newest = max(known, key=lambda run: run.issued_at.ToNanoseconds(), default=None)
    if newest is None:
        return "no source: nothing is known of this place"
    issued_at = newest.issued_at.ToDatetime(UTC)
    age = (now - issued_at).total_seconds() / 3600
    return (
        f"no fresh source: the newest forecast is of {issued_at:%Y-%m-%dT%H:%MZ} "
        f"({forecaster(newest.source, newest.model)}, {age:.0f} h old)"
    )


def _is_blended(run: Run) -> bool:
    return any(Variable.Name(part.variable).lower() in BLENDED for part in run.series)
