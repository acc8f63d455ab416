"""The walk-forward backtest on the real archive of eight models (UWME, 48 h temperature)."""

import csv
import gzip
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from skyblend.predict.blend.columns import (
    DAY,
    ForecastColumns,
    History,
    ObservationColumns,
)
from skyblend.predict.blend.lookup import Truth
from skyblend.predict.blend.series import LEVELS, Series
from skyblend.predict.train.backtest import forecast_history
from skyblend.predict.train.threads import one_thread
from skyblend.weather.scores import crps_quantiles

MODELS = ("CMCG", "ETA", "GASP", "GFS", "JMA", "NGPS", "TCWB", "UKMO")
KELVIN, UNKNOWN_ELEVATION = 273.15, -9999.0


@pytest.fixture(scope="module")
def uwme(archives: Path) -> History:
    (path,) = (archives / "uwme_t2m_48h").glob("*.csv.gz")
    with gzip.open(path, "rt", newline="") as text:
        rows = list(csv.DictReader(text))
    places = sorted({row["station"] for row in rows})
    code = {name: number for number, name in enumerate(places)}
    place = np.array([code[row["station"]] for row in rows])
    valid = np.array([microseconds(row["valid_utc"]) for row in rows])
    position = np.full((len(places), 3), np.nan)
    for row in reversed(rows):
        numbers = [float(row[name]) for name in ("latitude", "longitude", "elevation")]
        position[code[row["station"]]] = [x if x != UNKNOWN_ELEVATION else np.nan for x in numbers]
    values = np.array([[float(row[name]) for name in (*MODELS, "observation")] for row in rows])
    values -= KELVIN
    count = len(MODELS)
    issued = np.repeat(valid - 2 * DAY, count)
    told = ForecastColumns(
        place=np.repeat(place, count),
        forecaster=np.tile(np.arange(count), len(rows)),
        issued=issued,
        valid=np.repeat(valid, count),
        known=issued,
        value=values[:, :count].ravel(),
        flagged=np.zeros(len(issued), dtype=np.bool_),
    )
    observed = ObservationColumns(place, valid, valid, values[:, -1], np.zeros(len(rows), np.bool_))
    return History(Series("temperature_2m", 0), tuple(places), MODELS, position, told, observed)


def microseconds(text: str) -> int:
    moment = datetime.strptime(text, "%Y-%m-%dT%H:%M%z")
    return (moment - datetime(1970, 1, 1, tzinfo=moment.tzinfo)) // timedelta(microseconds=1)


@pytest.mark.archives
def test_twelve_real_days_are_forecast_better_than_emos_with_honest_intervals(
    uwme: History,
) -> None:
    low, high = microseconds("2004-01-28T00:00Z"), microseconds("2004-02-13T00:00Z")
    latest = {}
    with one_thread():
        for issue in forecast_history(uwme, low=low, high=high):
            keys = zip(issue.samples.place, issue.samples.valid, strict=True)
            latest |= dict(zip(keys, issue.prediction.quantiles, strict=True))
            assert (issue.samples.cycle < issue.samples.valid).all()
    seen = uwme.observations
    rows = np.flatnonzero((seen.valid >= low) & (seen.valid < high))
    assert len(rows) == 7262
    quantiles = np.array([latest[seen.place[row], seen.valid[row]] for row in rows])
    observed = seen.value[rows]
    # Peers on these rows: EMOS 1.850, ridge with station features 1.602.
    assert crps_quantiles(quantiles, observed, levels=LEVELS).mean() < 1.61
    inside = (quantiles[:, 0] <= observed) & (observed <= quantiles[:, -1])
    assert 0.86 < inside.mean() < 0.94
    assert (np.diff(quantiles, axis=1) >= 0).all()


@pytest.mark.archives
def test_truth_of_the_archive_is_not_known_before_its_time(uwme: History) -> None:
    truth, first = Truth(uwme.observations), microseconds("2004-01-28T00:00Z")
    for issue in forecast_history(uwme, low=first, high=first + DAY):
        assert np.isnan(truth.at(issue.samples, int(issue.samples.cycle[0]))).all()
