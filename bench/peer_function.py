"""The peer of `bench.start`: the same forecast as a function of functions-framework with
scikit-learn.

It reads the same runs, has the same linear model (the mean of the forecasters and a spread that
grows with lead) as two fitted LinearRegression, and answers the same hours and quantiles as JSON.
"""

import json
import os
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from statistics import NormalDist

import functions_framework
import numpy as np
from flask import Request, Response
from sklearn.linear_model import LinearRegression
from skyblend.protos.v1.records_pb2 import Latest

HOURS = 168
LEVELS = (0.1, 0.5, 0.9)


@cache
def _models() -> tuple[LinearRegression, LinearRegression]:
    """Mean from the forecasters' values, spread from the lead in hours."""
    lot = np.random.default_rng(1)
    values = lot.normal(10.0, 5.0, (500, 3))
    leads = lot.uniform(0.0, 240.0, (500, 1))
    mean = LinearRegression().fit(values, values.mean(axis=1))
    return mean, LinearRegression().fit(leads, 1.0 + leads[:, 0] / 100.0)


@functions_framework.http
def forecast(request: Request) -> Response:
    """The quantiles of the next hours for the one place."""
    folder = Path(os.environ["PEER_LATEST"])
    latest = Latest.FromString(folder.read_bytes())
    start = int(datetime.now(UTC).timestamp()) // 3600 * 3600
    hours = np.arange(start, start + HOURS * 3600, 3600)
    columns = [
        dict(zip(one.valid_at, one.value, strict=True)) for run in latest.runs for one in run.series
    ]
    values = np.array([[column[int(hour)] for column in columns] for hour in hours])
    mean_model, spread_model = _models()
    mean = mean_model.predict(values)
    spread = spread_model.predict((hours[:, None] - start) / 3600.0)
    hourly: dict[str, object] = {
        "time": [datetime.fromtimestamp(int(h), UTC).isoformat() for h in hours]
    }
    for level in LEVELS:
        quantile = mean + NormalDist().inv_cdf(level) * spread
        hourly[f"temperature_2m_p{level * 100:.0f}"] = np.round(quantile, 2).tolist()
    body = json.dumps({"latitude": 52.52, "longitude": 13.41, "hourly": hourly})
    return Response(body, content_type="application/json")
