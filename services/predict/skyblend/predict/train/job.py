"""The training job: every series that exists, each judged by itself, and what passed is
published."""

import json
import logging
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from skyblend.predict.blend.columns import History
from skyblend.predict.blend.model import Model, ModelError, decode
from skyblend.predict.blend.series import BLENDED
from skyblend.predict.train.candidate import Trained, train_series
from skyblend.predict.train.history import Extent, histories
from skyblend.predict.train.publish import mean_scores, publish_model, write_skill
from skyblend.predict.train.skill import skill
from skyblend.predict.train.threads import one_thread
from skyblend.protos.v1.events_pb2 import ModelPromoted
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names, places
from skyblend.runtime.place import Runtime
from skyblend.runtime.publishing import publish
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import Absent, Storage
from skyblend.runtime.tables import Tables

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class SeriesReport:
    """What became of one series: `model_id` is empty where champion.json stays as it was;
    `scores` are mean CRPS on the window of candidate, champion and mean."""

    series: str
    promoted: bool
    refreshed: bool
    model_id: str
    reason: str
    against: str
    rows: int
    days: int
    scores: Mapping[str, float]
    seconds: float


@dataclass(frozen=True, slots=True)
class TrainReport:
    """The job's outcome, one row for each series."""

    at: datetime
    series: tuple[SeriesReport, ...] = field(default=())


def train(runtime: Runtime, *, at: datetime) -> TrainReport:
    """Train every series on what was known at `at`; publishes what passed the gate. The same
    call again changes nothing."""
    with one_thread():
        return _train(runtime, at)


def _train(runtime: Runtime, at: datetime) -> TrainReport:
    moment = round(at.timestamp() * 1_000_000)
    reports, skills = [], {}
    configured = places.read(runtime.storage)
    for history in told(runtime.tables, runtime.settings, at=at, configured=configured):
        started = time.perf_counter()
        champion = champion_as_of(runtime.storage, history.series.key, at)
        trained = train_series(history, champion, at=moment)
        model_id = _publish(runtime, trained, champion)
        if len(trained.window.scored.rows):
            skills[history.series.key] = _skill(trained)
        report = _report(trained, model_id, time.perf_counter() - started)
        _LOG.info("%s: %s", report.series, report.reason, extra={"model_id": model_id})
        reports.append(report)
    if skills:
        write_skill(runtime.storage, moment, skills)
    return TrainReport(at, tuple(reports))


def told(
    tables: Tables, settings: Settings, *, at: datetime, configured: Mapping[str, Place]
) -> Iterator[History]:
    """Every history that a training at `at` learns from, read one variable at a time; the settings
    bound the days and the runs, and so the bytes that are paid for in the cloud."""
    since = at - timedelta(days=settings.train_days) if settings.train_days else None
    extent = Extent(since=since, hours=settings.train_hours)
    for variable in BLENDED:
        yield from histories(tables, (variable,), as_of=at, places=configured, extent=extent)


def champion_as_of(storage: Storage, key: str, at: datetime) -> Model | None:
    """The newest model of a series that was trained by `at`; None where there is none that can
    be read."""
    try:
        index = json.loads(storage.read(names.CHAMPION).data)
    except Absent:
        return None
    rows = [row for row in index["history"] if row["series"] == key]
    rows = [row for row in rows if datetime.fromisoformat(row["trained_at"]) <= at.astimezone(UTC)]
    if not rows:
        return None
    newest = max(rows, key=lambda row: str(row["trained_at"]))
    try:
        return decode(storage.read(names.model(newest["model_id"])).data, sha256=newest["sha256"])
    except (Absent, ModelError) as error:
        _LOG.warning("champion of %s does not count: %s", key, error)
        return None


def _publish(runtime: Runtime, trained: Trained, champion: Model | None) -> str:
    """The id of the model that champion.json names now, empty where it stays as it was."""
    if trained.model is None:
        return ""
    published = publish_model(runtime.storage, trained, trained.model)
    if champion is not None and published.model_id == champion.model_id:
        return ""
    event = ModelPromoted(model_id=published.model_id, variables=[trained.history.series.variable])
    event.promoted_at.FromMicroseconds(trained.at)
    publish(runtime.bus, event)
    return published.model_id


def _skill(trained: Trained) -> dict[str, object]:
    window = trained.window
    return skill(
        trained.history,
        trained.walked,
        window.scored,
        blend=window.forecasts[trained.serving],
        mean=window.forecasts["mean"],
    )


def _report(trained: Trained, model_id: str, seconds: float) -> SeriesReport:
    fitted = trained.fitted
    return SeriesReport(
        series=trained.history.series.key,
        promoted=bool(model_id) and trained.promoted,
        refreshed=bool(model_id) and not trained.promoted,
        model_id=model_id,
        reason=trained.verdict.reason,
        against=trained.window.scored.against,
        rows=fitted.rows if fitted else 0,
        days=fitted.days if fitted else 0,
        scores=mean_scores(trained),
        seconds=round(seconds, 2),
    )
