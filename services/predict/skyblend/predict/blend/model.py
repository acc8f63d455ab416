"""The file of a model: arrays without pickle, their meaning as JSON, and a vector that tests
itself.

ModelError: the bytes are not a model that this code can serve; the text says what differs.
"""

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from skyblend.predict.blend.calibrated import Calibrated, Prediction
from skyblend.predict.blend.columns import HOUR, Floats, Ints
from skyblend.predict.blend.evidence import Memory, classes, corrections
from skyblend.predict.blend.features import SCALE_NAMES, Situations, features, location_names
from skyblend.predict.blend.linear import Linear, Scaling
from skyblend.predict.blend.series import Series
from skyblend.predict.blend.standing import Standing
from skyblend.weather.quality import Cases, SeasonalLimits

FORMAT = 3  # to be raised with what the features are made of or what is carried beside them
_AGAIN = "the next training makes a new one"
_TOLERANCE = 1e-6
_LONGEST = 120  # characters of an error inside an error


class ModelError(ValueError):
    """The bytes are not a model that this code can serve."""


@dataclass(frozen=True, slots=True)
class Model:
    """A trained model of one series, named `model_id`: its coefficients rest on what was known at
    `learnt_to`, the state of its places on what was known at `state_at` (us)."""

    model_id: str
    series: Series
    forecasters: tuple[str, ...]
    places: tuple[str, ...]
    position: Floats
    calibrated: Calibrated
    memory: Memory
    prior: Floats
    learnt_to: int
    state_at: int
    standing: Standing = field(default_factory=Standing.none)

    def predict(self, place: str, at: Situations) -> Prediction:
        """Mean and quantiles of situations of one place at one cycle; `at.position` serves a
        place without history."""
        lead = (at.valid - at.cycle) / HOUR
        instant = self.series.period == 0
        kind, now = classes(at.valid, lead, instant=instant), max(int(at.cycle[0]), self.state_at)
        if place in self.places:
            code = np.full(len(kind), self.places.index(place))
            evidence = self.memory.about(code, kind, now)
            at = replace(at, position=self.position[code])
        else:
            evidence = self.memory.about_elsewhere(at.position[0], kind, now)
        known = corrections(evidence, self.prior)
        return self.calibrated.predict(features(at, known, instant=instant))


@dataclass(frozen=True, slots=True)
class SelfTest:
    """A few situations of a place, and the quantiles that the model gave when it was trained."""

    place: str
    at: Situations
    quantiles: Floats


def encode(model: Model, test: SelfTest) -> bytes:
    """The model as the bytes of an .npz file; the same model gives the same bytes."""
    meta = json.dumps(_meta(model, test), ensure_ascii=False).encode()
    arrays = _arrays(model) | _test_arrays(test)
    arrays["meta"] = np.frombuffer(meta, dtype=np.uint8)
    file = io.BytesIO()
    np.savez_compressed(file, allow_pickle=False, **arrays)
    return file.getvalue()


def _meta(model: Model, test: SelfTest) -> dict[str, object]:
    return {
        "format": FORMAT,
        "model_id": model.model_id,
        "series": model.series.key,
        "forecasters": model.forecasters,
        "places": model.places,
        "location": location_names(model.forecasters),
        "scale": SCALE_NAMES,
        "usual_age": model.calibrated.usual_age,
        "learnt_to": model.learnt_to,
        "state_at": model.state_at,
        "epoch": model.memory.epoch,
        "test_place": test.place,
        "season": [model.standing.season.week, model.standing.season.first],
        "said_by": model.standing.forecasters,
    }


_Arrays = dict[str, NDArray[Any]]


def _arrays(model: Model) -> _Arrays:
    linear, memory = model.calibrated.linear, model.memory
    return {
        "position": model.position,
        "prior": model.prior,
        "levels": model.calibrated.levels,
        "presence": model.calibrated.presence,
        "location": linear.location,
        "location_centre": linear.location_scaling.centre,
        "location_width": linear.location_scaling.width,
        "scale": linear.scale,
        "scale_centre": linear.scale_scaling.centre,
        "scale_width": linear.scale_scaling.width,
        "cell": memory.cell,
        "place": memory.place,
        "all_class": memory.all_class,
        "all": memory.all,
        **_standing_arrays(model.standing),
    }


def _standing_arrays(standing: Standing) -> _Arrays:
    said = standing.said
    return {
        "season_low": standing.season.low,
        "season_high": standing.season.high,
        "said_place": said.place,
        "said_forecaster": said.forecaster,
        "said_valid": said.valid_at.astype("datetime64[us]").view(np.int64),
        "said_known": said.known_at.astype("datetime64[us]").view(np.int64),
        "said_value": said.value,
    }


def _standing(meta: Mapping[str, object], arrays: Mapping[str, NDArray[Any]]) -> Standing:
    week, first = map(int, _texts(meta, "season"))
    season = SeasonalLimits(week, first, arrays["season_low"], arrays["season_high"])
    place = arrays["said_place"]
    said = Cases(
        place=place,
        forecaster=arrays["said_forecaster"],
        period=np.full(place.shape, Series.parse(str(meta["series"])).period),
        valid_at=arrays["said_valid"].view("datetime64[us]"),
        known_at=arrays["said_known"].view("datetime64[us]"),
        value=arrays["said_value"],
    )
    return Standing(season, _texts(meta, "said_by"), said)


def _test_arrays(test: SelfTest) -> _Arrays:
    return {
        "test_cycle": test.at.cycle,
        "test_valid": test.at.valid,
        "test_position": test.at.position,
        "test_value": test.at.value,
        "test_issued": test.at.issued,
        "test_quantiles": test.quantiles,
    }


def decode(content: bytes, *, sha256: str) -> Model:
    """The model of a file, tested; raises ModelError."""
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ModelError(f"model: expected sha256 {sha256}, got {found}")
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        meta = json.loads(arrays["meta"].tobytes())
        _check_format(meta)
        model = _model(meta, arrays)
        test = _self_test(meta, arrays)
    except ModelError:
        raise
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        got = f"{type(error).__name__} {error}"[:_LONGEST]
        raise ModelError(f"model: expected the arrays of format {FORMAT}, got {got}") from error
    _check(model, test)
    return model


def _check_format(meta: Mapping[str, object]) -> None:
    """Raises ModelError for another format, or other features than this code makes."""
    if meta["format"] != FORMAT:
        raise ModelError(f"model: expected format {FORMAT}, got {meta['format']}: {_AGAIN}")
    made = {"location": location_names(_texts(meta, "forecasters")), "scale": SCALE_NAMES}
    for what, expected in made.items():
        differ = set(expected).symmetric_difference(given := _texts(meta, what))
        if given != expected:
            which = min(differ, default="their order")
            raise ModelError(f"model: other features of the {what} ({which}): {_AGAIN}")


def _model(meta: Mapping[str, object], arrays: Mapping[str, Floats]) -> Model:
    names, places = _texts(meta, "forecasters"), _texts(meta, "places")
    series = Series.parse(str(meta["series"]))
    linear = Linear(
        Scaling(arrays["location_centre"], arrays["location_width"]),
        Scaling(arrays["scale_centre"], arrays["scale_width"]),
        arrays["location"],
        arrays["scale"],
    )
    usual_age = float(str(meta["usual_age"]))
    calibrated = Calibrated(series, linear, arrays["levels"], usual_age, arrays["presence"])
    memory = Memory(arrays["position"], len(arrays["prior"]))
    memory.restore(int(str(meta["epoch"])), arrays)
    return Model(
        model_id=str(meta["model_id"]),
        series=series,
        forecasters=names,
        places=places,
        position=arrays["position"],
        calibrated=calibrated,
        memory=memory,
        prior=arrays["prior"],
        learnt_to=int(str(meta["learnt_to"])),
        state_at=int(str(meta["state_at"])),
        standing=_standing(meta, arrays),
    )


def _texts(meta: Mapping[str, object], name: str) -> tuple[str, ...]:
    values = meta[name]
    if not isinstance(values, list):
        raise ValueError(f"{name}: expected a list, got {values!r}")
    return tuple(map(str, values))


def _self_test(meta: Mapping[str, object], arrays: Mapping[str, Floats]) -> SelfTest:
    times: tuple[Ints, Ints] = (
        arrays["test_cycle"].astype(np.int64),
        arrays["test_valid"].astype(np.int64),
    )
    at = Situations(*times, arrays["test_position"], arrays["test_value"], arrays["test_issued"])
    return SelfTest(str(meta["test_place"]), at, arrays["test_quantiles"])


def _check(model: Model, test: SelfTest) -> None:
    got = model.predict(test.place, test.at).quantiles
    if got.shape != test.quantiles.shape or not np.allclose(
        got, test.quantiles, atol=_TOLERANCE, rtol=0
    ):
        raise ModelError(f"{model.model_id}: the self-test gives other quantiles than in training")
