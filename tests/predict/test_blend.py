"""The file of a model, and the forecast from the newest runs."""

import hashlib
import io
import json
from dataclasses import replace

import numpy as np
import pytest
from blend_cases import (
    SERIES,
    concatenated,
    latest_of,
    made_up,
    moment,
    raw_values,
    trained,
    walked,
    width,
    without,
)
from skyblend.predict.blend.columns import (
    DAY,
    HOUR,
)
from skyblend.predict.blend.lookup import (
    asked_samples,
    learning_samples,
)
from skyblend.predict.blend.model import ModelError, decode, encode
from skyblend.predict.blend.predict import predict
from skyblend.protos.v1.records_pb2 import Latest, Place


def test_model_file_gives_the_same_forecast_and_the_same_bytes() -> None:
    model, test = trained()
    content = encode(model, test)
    assert content == encode(model, test)
    loaded = decode(content, sha256=hashlib.sha256(content).hexdigest())
    np.testing.assert_array_equal(loaded.predict(test.place, test.at).quantiles, test.quantiles)


def test_model_with_other_bytes_other_features_or_other_answers_is_refused() -> None:
    model, test = trained()
    content = encode(model, test)
    with pytest.raises(ModelError, match="expected sha256"):
        decode(content, sha256="0" * 64)
    with pytest.raises(ModelError, match="expected the arrays"):
        decode(b"text", sha256=hashlib.sha256(b"text").hexdigest())
    wrong = encode(model, replace(test, quantiles=test.quantiles + 0.1))
    with pytest.raises(ModelError, match="self-test"):
        decode(wrong, sha256=hashlib.sha256(wrong).hexdigest())
    odd = without(content, "levels")
    with pytest.raises(ModelError, match="levels"):
        decode(odd, sha256=hashlib.sha256(odd).hexdigest())


@pytest.mark.parametrize(
    ("of_before", "told"),
    [
        ({"format": 1}, "expected format 3, got 1"),
        ({"scale": ["one", "lead"]}, "other features of the scale (elevation)"),
        ({"location": ["one"]}, "other features of the location (anomaly)"),
    ],
)
def test_a_model_of_before_is_refused_in_a_short_line(
    of_before: dict[str, object], told: str
) -> None:
    content = encode(*trained())
    with np.load(io.BytesIO(content)) as file:
        arrays = {name: file[name] for name in file.files}
    meta = json.loads(arrays["meta"].tobytes()) | of_before
    arrays["meta"] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    np.savez(changed := io.BytesIO(), **arrays)
    with pytest.raises(ModelError) as refused:
        decode(changed.getvalue(), sha256=hashlib.sha256(changed.getvalue()).hexdigest())
    assert str(refused.value) == f"model: {told}: the next training makes a new one"


def test_serving_gives_what_the_features_of_training_give() -> None:
    history = made_up()
    model, _ = trained()
    at = 29 * DAY + 2 * HOUR
    asked = asked_samples(history.forecasts, at)
    steps, _ = walked(history, concatenated(learning_samples(history.forecasts), asked))
    late = np.flatnonzero(steps.samples.cycle == at)
    expected = model.calibrated.predict(steps.features.take(late)).quantiles
    for code, place in enumerate(history.places):
        rows = steps.samples.place[late] == code
        blend = predict(
            {SERIES.key: model}, latest_of(history, code, at), place=Place(id=place), now=moment(at)
        )[0]
        assert blend.model_id == "m"
        np.testing.assert_allclose(blend.quantiles, expected[rows], atol=1e-9)


def test_a_place_without_history_gets_neighbours_and_wider_bounds() -> None:
    history, (model, _) = made_up(), trained()
    at = 29 * DAY + 2 * HOUR
    latest = latest_of(history, 3, at)
    known = predict({SERIES.key: model}, latest, place=Place(id="place3"), now=moment(at))[0]
    new = Place(id="new", latitude=48.3, longitude=11.0, elevation=500.0)
    unknown = predict({SERIES.key: model}, latest, place=new, now=moment(at))[0]
    nowhere = predict({SERIES.key: model}, latest, place=Place(id="nowhere"), now=moment(at))[0]
    for blend in (known, unknown, nowhere):
        assert np.isfinite(blend.quantiles).all()
        assert (np.diff(blend.quantiles, axis=1) >= 0).all()
    # The forecasters are 0.5 + 1 (odd place) too warm: own history corrects more than the
    # neighbours' does.
    assert known.mean[0] < unknown.mean[0] < np.mean(raw_values(latest)) - 0.5


def test_bounds_widen_with_age_and_absence() -> None:
    history, (model, _) = made_up(), trained()
    at = 29 * DAY + 2 * HOUR
    latest = latest_of(history, 0, at)
    place, models = Place(id="place0"), {SERIES.key: model}
    full = width(predict(models, latest, place=place, now=moment(at))[0].quantiles)
    alone = Latest(place_id="place0", runs=latest.runs[:1])
    assert width(predict(models, alone, place=place, now=moment(at))[0].quantiles) > 1.1 * full
    for run in latest.runs:
        run.issued_at.FromMicroseconds(run.issued_at.ToMicroseconds() - 5 * DAY)
    assert width(predict(models, latest, place=place, now=moment(at))[0].quantiles) > 1.3 * full


def test_without_a_model_the_mean_has_the_default_spread() -> None:
    latest = latest_of(made_up(), 0, 29 * DAY + 2 * HOUR)
    blend = predict({}, latest, place=Place(id="place0"), now=moment(29 * DAY + 2 * HOUR))[0]
    assert (blend.model_id, blend.missing, blend.used) == ("", (), (0, 1, 2))
    values = [run.series[0].value[0] for run in latest.runs]
    assert blend.mean[0] == pytest.approx(np.mean(values))
    # Runs of 24 h: spread 2 degC, and the 95 % level of a Gaussian is at 1.645.
    assert blend.quantiles[0, -1] - blend.mean[0] == pytest.approx(2 * 1.6449, abs=1e-3)


def test_absent_forecasters_are_named_and_runs_of_the_future_are_not_read() -> None:
    at, (model, _) = 29 * DAY + 2 * HOUR, trained()
    latest = latest_of(made_up(), 0, at)
    latest.runs[1].known_at.FromMicroseconds(at + HOUR)
    blend = predict({SERIES.key: model}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert blend.missing == ("east/two",)
    assert blend.used == (0, 2)
    assert blend.forecasters.tolist() == [2, 2]


def test_one_wild_forecaster_is_not_believed() -> None:
    at = 29 * DAY + 2 * HOUR
    latest = latest_of(made_up(), 0, at)
    latest.runs[2].series[0].value[0] = 48.0
    blend = predict({}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert blend.forecasters[0] == 2


def test_times_that_only_an_unknown_forecaster_tells_keep_the_default() -> None:
    at, (model, _) = 29 * DAY + 2 * HOUR, trained()
    latest = latest_of(made_up(), 0, at)
    far = latest.runs.add(source="south")
    far.CopyFrom(latest.runs[0])
    far.source, far.model = "south", ""
    far.series[0].valid_at[:] = [(at + 5 * DAY) // 1_000_000]
    far.series[0].value[:] = [9.0]
    blend = predict({SERIES.key: model}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert len(blend.valid_at) == 3
    assert blend.mean[-1] == 9.0
    assert blend.model_id == "m"


def test_a_forecaster_unknown_to_the_model_is_not_counted() -> None:
    at, (model, _) = 29 * DAY + 2 * HOUR, trained()
    latest = latest_of(made_up(), 0, at)
    latest.runs.add().CopyFrom(latest.runs[0])
    latest.runs[3].source, latest.runs[3].model = "south", ""
    blend = predict({SERIES.key: model}, latest, place=Place(id="place0"), now=moment(at))[0]
    assert blend.used == (0, 1, 2)
    assert blend.forecasters.tolist() == [3, 3]


def test_past_times_are_not_forecast() -> None:
    latest = latest_of(made_up(), 0, 29 * DAY + 2 * HOUR)
    assert predict({}, latest, place=Place(id="place0"), now=moment(40 * DAY)) == []
