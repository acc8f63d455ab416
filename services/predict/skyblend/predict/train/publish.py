"""What a training leaves behind: model, card, champion.json, skill.json and the event."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import numpy as np
from skyblend.predict.blend.columns import History
from skyblend.predict.blend.features import SCALE_NAMES, Situations, location_names
from skyblend.predict.blend.fit import SEED
from skyblend.predict.blend.model import Model, SelfTest, encode
from skyblend.predict.train.candidate import CONFIDENCE, Trained
from skyblend.runtime import names
from skyblend.runtime.storage import Storage, update

SKILL = "skill.json"
_TEST_ROWS = 8


@dataclass(frozen=True, slots=True)
class Published:
    """A model that is in the bucket."""

    model_id: str
    sha256: str


def publish_model(storage: Storage, trained: Trained, model: Model) -> Published:
    """Write model and card, then let champion.json name them; the same training writes the same
    bytes under the same id."""
    test = _self_test(model, trained)
    digest = hashlib.sha256(encode(model, test)).hexdigest()
    at = _text(trained.at, "%Y%m%dT%H%M%SZ")
    model_id = f"{model.series.variable}-{model.series.period}-{at}-{digest[:8]}"
    content = encode(replace(model, model_id=model_id), test)
    published = Published(model_id, hashlib.sha256(content).hexdigest())
    storage.write(names.model(model_id), content)
    storage.write(names.card(model_id), _json(_card(trained, model, published)))
    _name_champion(storage, model.series.key, published, _text(trained.at))
    return published


def _name_champion(storage: Storage, key: str, published: Published, trained_at: str) -> None:
    row = {"model_id": published.model_id, "sha256": published.sha256, "trained_at": trained_at}

    def change(before: bytes | None) -> bytes:
        index = json.loads(before) if before else {"champions": {}, "history": []}
        history = [old for old in index["history"] if old["model_id"] != published.model_id]
        index["history"] = sorted(
            [*history, {"series": key, **row}], key=lambda old: (old["trained_at"], old["series"])
        )
        if key not in index["champions"] or index["champions"][key]["trained_at"] <= trained_at:
            index["champions"][key] = row
        return _json(index)

    update(storage, names.CHAMPION, change)


def write_skill(storage: Storage, at: int, series: Mapping[str, object]) -> None:
    """Replace the skill of `series` and keep that of others; an older training changes nothing."""
    now = _text(at)

    def change(before: bytes | None) -> bytes | None:
        known: dict[str, Any] = json.loads(before) if before else {"at": now, "series": {}}
        if known["at"] > now:
            return None
        return _json({"at": now, "series": known["series"] | dict(series)})

    update(storage, SKILL, change)


def _self_test(model: Model, trained: Trained) -> SelfTest:
    """The last situations of one place, as if they were asked at the time of training."""
    walked = trained.walked
    rows = np.flatnonzero(walked.samples.place == walked.samples.place[-1])[-_TEST_ROWS:]
    told = walked.situations
    columns = [
        trained.history.forecasters.index(name) if name in trained.history.forecasters else -1
        for name in model.forecasters
    ]
    value, issued = (_columns(each[rows], columns) for each in (told.value, told.issued))
    cycle = np.full(len(rows), trained.at)
    at = Situations(
        cycle, cycle + told.valid[rows] - told.cycle[rows], told.position[rows], value, issued
    )
    place = trained.history.places[walked.samples.place[-1]]
    return SelfTest(place, at, model.predict(place, at).quantiles)


def _columns(values: np.ndarray, columns: list[int]) -> np.ndarray:
    return np.column_stack([values, np.full(len(values), np.nan)])[:, columns]


def _card(trained: Trained, model: Model, published: Published) -> dict[str, object]:
    fitted, scored, walked = trained.fitted, trained.window.scored, trained.walked
    learnt = walked.samples.cycle[walked.samples.cycle <= trained.cut]
    return {
        "model_id": published.model_id,
        "sha256": published.sha256,
        "series": model.series.key,
        "kind": "new" if trained.promoted else "champion with the state of a later day",
        "trained_at": _text(trained.at),
        "learnt": {
            "from": _text(int(learnt[0])) if len(learnt) else None,
            "to": _text(model.learnt_to),
            "rows": fitted.rows if fitted else 0,
            "days": fitted.days if fitted else 0,
            "residuals": fitted.residuals if fitted else 0,
        },
        "state": {"to": _text(model.state_at), "places": len(model.places)},
        "judged": {
            "from": _text(trained.cut),
            "to": _text(trained.at),
            "rows": len(scored.rows),
            "days": len(np.unique(scored.day)),
            "against": scored.against,
            "crps": mean_scores(trained),
            "confidence": dict(trained.verdict.confidence),
            "confidence_asked": CONFIDENCE,
            "verdict": trained.verdict.reason,
        },
        "forecasters": list(model.forecasters),
        "features": {"mean": list(location_names(model.forecasters)), "spread": list(SCALE_NAMES)},
        "levels": [round(float(level), 4) for level in model.calibrated.levels],
        "seed": SEED,
        "data_sha256": data_hash(trained.history),
        "code": {"skyblend-predict": version("skyblend-predict"), "numpy": version("numpy")},
    }


def mean_scores(trained: Trained) -> dict[str, float]:
    """Mean CRPS on the window of the candidate, the champion and the mean."""
    scores = trained.window.crps()
    return {name: round(float(each.mean()), 4) for name, each in scores.items() if len(each)}


def data_hash(history: History) -> str:
    """sha256 over the columns that the training read, in an order of their own."""
    digest = hashlib.sha256("\n".join([*history.places, *history.forecasters]).encode())
    for table in (history.forecasts, history.observations):
        for column in (table.place, table.valid, table.known, table.value, table.flagged):
            digest.update(np.ascontiguousarray(column).tobytes())
    return digest.hexdigest()


def _text(at: int, form: str = "%Y-%m-%dT%H:%M:%SZ") -> str:
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime(form)


def _json(content: object) -> bytes:
    return json.dumps(content, ensure_ascii=False, indent=1).encode()
