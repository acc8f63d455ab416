"""Champions: loaded when named, checked, swapped together; a bad one holds up only its own
series."""

import hashlib
import json
import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from skyblend.predict.blend.calibrated import Calibrated
from skyblend.predict.blend.evidence import Memory
from skyblend.predict.blend.features import SCALE_NAMES, Situations, location_names
from skyblend.predict.blend.levels import NORMAL
from skyblend.predict.blend.linear import Linear, Scaling
from skyblend.predict.blend.model import Model, SelfTest, encode
from skyblend.predict.blend.series import Series
from skyblend.predict.serve.champions import ChampionWatch, active, champions_at
from skyblend.predict.serve.issue import issue
from skyblend.protos.v1.api_pb2 import Issued
from skyblend.protos.v1.events_pb2 import ModelPromoted
from skyblend.protos.v1.records_pb2 import Place, Run
from skyblend.runtime import names
from skyblend.runtime.bus.push import encode as push
from skyblend.runtime.place import Runtime
from skyblend.runtime.storage import Storage

T0 = datetime(2026, 11, 1, tzinfo=UTC)
_US = 1_000_000


def _model(model_id: str, shift: float, variable: str = "temperature_2m") -> Model:
    """One that adds `shift` to the mean of open_meteo/gfs and open_meteo/icon, with spread 1."""
    forecasters = ("open_meteo/gfs", "open_meteo/icon")
    width = len(location_names(forecasters))
    location, prior = np.zeros(width), np.zeros(len(forecasters) + 3)
    location[0], prior[-1] = shift, 1.0
    linear = Linear(
        Scaling(np.zeros(width), np.zeros(width)),
        Scaling(np.zeros(len(SCALE_NAMES)), np.zeros(len(SCALE_NAMES))),
        location,
        np.zeros(len(SCALE_NAMES)),
    )
    series = Series(variable, 0 if variable == "temperature_2m" else 86400)
    position = np.array([[52.52, 13.41, 40.0]])
    return Model(
        model_id=model_id,
        series=series,
        forecasters=forecasters,
        places=("berlin",),
        position=position,
        calibrated=Calibrated(series, linear, NORMAL, 1e3, np.ones(2)),
        memory=Memory(position, len(prior)),
        prior=prior,
        state_at=round(T0.timestamp()) * _US,
        learnt_to=round(T0.timestamp()) * _US,
    )


def _promote(storage: Storage, model: Model, at: datetime, *, sha256: str = "") -> None:
    """What training leaves behind."""
    cycle = np.array([round(T0.timestamp()) * _US])
    values, times = np.array([[1.0, 2.0]]), np.full((1, 2), float(cycle[0]))
    asked = Situations(cycle, cycle + 3600 * _US, model.position, values, times)
    content = encode(model, SelfTest("berlin", asked, model.predict("berlin", asked).quantiles))
    storage.write(names.model(model.model_id), content)
    row = {
        "model_id": model.model_id,
        "sha256": sha256 or hashlib.sha256(content).hexdigest(),
        "trained_at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    there = storage.generation(names.CHAMPION)
    index = json.loads(storage.read(names.CHAMPION).data) if there else _EMPTY
    index = {
        "champions": index["champions"] | {model.series.key: row},
        "history": [*index["history"], {"series": model.series.key, **row}],
    }
    storage.write(names.CHAMPION, json.dumps(index).encode())


_EMPTY: dict[str, Any] = {"champions": {}, "history": []}


@pytest.fixture
def berlins(put: Callable[..., None], run_of: Callable[..., Run]) -> None:
    """Berlin with 1 and 3 degC for 11:00."""
    put(Place(id="berlin"), run_of("gfs", [0, 1]), run_of("icon", [0, 3]))


def _served(runtime: Runtime) -> tuple[str, float, str]:
    issued = Issued.FromString(runtime.storage.read(names.issued("berlin")).data)
    (series,) = issued.series
    return series.model_id, round(series.mean[0], 6), issued.note


@pytest.mark.usefixtures("berlins")
def test_the_champion_issues(runtime: Runtime, now: datetime) -> None:
    _promote(runtime.storage, _model("m1", 0.5), T0)
    issue(runtime, now=now)
    assert _served(runtime) == ("m1", 2.5, "")


@pytest.mark.usefixtures("berlins")
@pytest.mark.parametrize(
    ("trained_at", "note"),
    [
        # The issue is of 2026-11-20 10:20; 2021-12-31 00:00 is 4 * 365 + 1 + 324 days before it.
        (datetime(2021, 12, 31, tzinfo=UTC), "the model was trained on 2021-12-31, 1785 days ago"),
        (datetime(2026, 10, 21, 10, 20, tzinfo=UTC), ""),
        (
            datetime(2026, 10, 20, 10, 20, tzinfo=UTC),
            "the model was trained on 2026-10-20, 31 days ago",
        ),
    ],
)
def test_a_model_of_long_ago_is_told(
    runtime: Runtime, call: Callable[..., Any], now: datetime, trained_at: datetime, note: str
) -> None:
    _promote(runtime.storage, _model("m1", 0.5), trained_at)
    issue(runtime, now=now)
    assert _served(runtime)[2] == note
    assert call("/v1/forecast?place=berlin").json["skyblend"]["note"] == note
    assert call("/v1/series?place=berlin").json["note"] == note


@pytest.mark.usefixtures("berlins")
def test_a_promoted_model_is_loaded_by_a_running_service(
    runtime: Runtime, call: Callable[..., Any], now: datetime
) -> None:
    served = []
    for model in (_model("m1", 0.5), _model("m2", 1.0)):
        _promote(runtime.storage, model, T0)
        body = push(
            ModelPromoted(model_id=model.model_id), trace="", message_id="1", published_at=now
        )
        token = "secret-of-the-test"
        assert (
            call("/v1/events/model-promoted", method="POST", token=token, body=body).status == 204
        )
        served.append(_served(runtime)[:2])
    assert served == [("m1", 2.5), ("m2", 3.0)]


@pytest.mark.usefixtures("berlins")
@pytest.mark.parametrize("sha256", ["0" * 64, ""])
def test_a_bad_model_is_not_served_and_the_one_before_goes_on(
    runtime: Runtime, now: datetime, caplog: pytest.LogCaptureFixture, sha256: str
) -> None:
    storage, champions = runtime.storage, ChampionWatch(runtime.storage)
    _promote(storage, _model("m1", 0.5), T0)
    assert champions.current().references["temperature_2m/0"].model_id == "m1"
    _promote(storage, _model("m2", 1.0), now, sha256=sha256)
    if not sha256:
        storage.delete(names.model("m2"))
    champions.forget()
    with caplog.at_level(logging.ERROR):
        assert champions.current().models["temperature_2m/0"].model_id == "m1"
    assert "champion of temperature_2m/0 not loaded" in caplog.text


@pytest.mark.usefixtures("berlins")
def test_a_bad_model_holds_up_only_its_own_series(runtime: Runtime, now: datetime) -> None:
    _promote(runtime.storage, _model("m1", 0.5), T0)
    _promote(runtime.storage, _model("m2", 1.0, "temperature_2m_max"), T0, sha256="0" * 64)
    issue(runtime, now=now)
    assert _served(runtime)[:2] == ("m1", 2.5)


@pytest.mark.usefixtures("berlins")
def test_a_model_named_as_another_is_refused(runtime: Runtime, now: datetime) -> None:
    _promote(runtime.storage, _model("m1", 0.5), T0)
    index = runtime.storage.read(names.CHAMPION).data.replace(
        b"temperature_2m/0", b"dew_point_2m/0"
    )
    runtime.storage.write(names.CHAMPION, index)
    assert not ChampionWatch(runtime.storage).current().models


def test_as_of_a_time_the_newest_trained_by_then_is_taken(runtime: Runtime) -> None:
    for day, shift in ((0, 0.5), (2, 1.0)):
        _promote(runtime.storage, _model(f"m{day}", shift), T0 + timedelta(days=day))
    found = [
        champions_at(runtime.storage, T0 + timedelta(days=day)).references for day in (-1, 0, 1, 2)
    ]
    assert [[one.model_id for one in each.values()] for each in found] == [
        [],
        ["m0"],
        ["m0"],
        ["m2"],
    ]
    assert active(runtime.storage.read(names.CHAMPION).data)["temperature_2m/0"].model_id == "m2"


@pytest.mark.usefixtures("berlins")
def test_a_missing_forecaster_is_named(
    runtime: Runtime, put: Callable[..., None], run_of: Callable[..., Run], now: datetime
) -> None:
    _promote(runtime.storage, _model("m1", 0.0), T0)
    put(Place(id="berlin"), run_of("gfs", [0, 1]))
    issue(runtime, now=now)
    issued = Issued.FromString(runtime.storage.read(names.issued("berlin")).data)
    assert list(issued.missing) == ["open_meteo/icon"]
    assert [source.model for source in issued.sources] == ["gfs"]
