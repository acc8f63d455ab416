"""The champions: the model of each series that `models/champion.json` names, loaded, checked and
swapped as a whole.

A model that cannot be loaded is logged and holds up only its own series: that goes on with the
model it had, else with none.
"""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from skyblend.predict.blend.model import Model, ModelError, decode
from skyblend.predict.serve.watch import Watch
from skyblend.runtime import names
from skyblend.runtime.storage import Absent, Storage

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Reference:
    """What champion.json says of one model."""

    series: str
    model_id: str
    sha256: str
    trained_at: datetime


@dataclass(frozen=True, slots=True)
class Champions:
    """Models by series key, and the references that they were loaded by."""

    models: Mapping[str, Model] = field(default_factory=dict)
    references: Mapping[str, Reference] = field(default_factory=dict)


class ChampionWatch:
    """The champions as they stand now; champion.json is looked at again when the last look is older
    than two seconds."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._index = Watch(storage, active)
        self._current = Champions()

    def current(self) -> Champions:
        """The champions; a changed one is loaded aside and all are swapped by one assignment."""
        wanted = self._index.get(names.CHAMPION).value or {}
        if wanted != self._current.references:
            self._current = load(self._storage, wanted, before=self._current)
        return self._current

    def forget(self) -> None:
        """Look at champion.json again at the next request."""
        self._index.forget()


def champions_at(storage: Storage, at: datetime) -> Champions:
    """The champions that a forecast at `at` could have used: of each series the newest that was
    trained by then."""
    try:
        content = storage.read(names.CHAMPION).data
    except Absent:
        return Champions()
    return load(storage, active(content, at=at))


def active(content: bytes, *, at: datetime | None = None) -> dict[str, Reference]:
    """The references of champion.json by series key: the champions, or with `at` the newest trained
    by then."""
    index = json.loads(content)
    if at is None:
        return {key: _reference(key, row) for key, row in index["champions"].items()}
    newest: dict[str, Reference] = {}
    for one in sorted(_all(index), key=lambda reference: reference.trained_at):
        if one.trained_at <= at:
            newest[one.series] = one
    return newest


def load(
    storage: Storage, wanted: Mapping[str, Reference], *, before: Champions | None = None
) -> Champions:
    """Load what `wanted` names; what did not change is taken from `before`."""
    before = before or Champions()
    models: dict[str, Model] = {}
    loaded: dict[str, Reference] = {}
    for key, reference in wanted.items():
        if before.references.get(key) == reference:
            models[key], loaded[key] = before.models[key], reference
            continue
        try:
            models[key], loaded[key] = _load(storage, reference), reference
        except (ModelError, Absent) as error:
            _LOG.error("champion of %s not loaded: %s", key, error)
            if key in before.models:
                models[key], loaded[key] = before.models[key], before.references[key]
    return Champions(models, loaded)


def _load(storage: Storage, reference: Reference) -> Model:
    model = decode(storage.read(names.model(reference.model_id)).data, sha256=reference.sha256)
    if (model.model_id, model.series.key) != (reference.model_id, reference.series):
        raise ModelError(
            f"model: expected {reference.model_id} of {reference.series}, "
            f"got {model.model_id} of {model.series.key}"
        )
    return model


def _all(index: Mapping[str, Any]) -> Iterator[Reference]:
    for key, row in index["champions"].items():
        yield _reference(key, row)
    for row in index.get("history", ()):
        yield _reference(row["series"], row)


def _reference(series: str, row: Mapping[str, Any]) -> Reference:
    trained_at = datetime.fromisoformat(row["trained_at"])
    return Reference(series, row["model_id"], row["sha256"], trained_at.astimezone(UTC))
