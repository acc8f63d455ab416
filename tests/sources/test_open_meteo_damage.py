# ruff: noqa: E501 (tables of cases)
"""Any change of an answer is read or refused, and raises nothing else."""

import json
import math
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from open_meteo_cases import URL, answer, decode
from skyblend.sources.contract import (
    BadPayload,
    Forecasts,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_change_of_an_answer_is_read_or_refused(data):
    body = answer(
        daily={"time": ["2026-11-20"], "temperature_2m_max": [1.0]},
        daily_units={"time": "iso8601", "temperature_2m_max": "°C"},
    )
    target: Any = body
    for _ in range(data.draw(st.integers(0, 2))):
        nested = [value for value in target.values() if isinstance(value, dict)]
        target = data.draw(st.sampled_from(nested)) if nested else target
    key = data.draw(st.sampled_from(sorted(target)))
    if isinstance(target[key], list) and data.draw(st.booleans()):
        target[key][data.draw(st.integers(0, len(target[key]) - 1))] = data.draw(JSON)
    else:
        target[key] = data.draw(JSON)
    url = data.draw(st.sampled_from(["", URL, "https://x/archive?", "http://[::bad"]))
    endpoint = data.draw(st.sampled_from(["", "forecast", "previous_runs", "archive_backfill"]))
    try:
        items = decode(body, url=url, endpoint=endpoint)
    except BadPayload:
        return
    for item in items:
        if isinstance(item, Forecasts):
            assert all(
                math.isfinite(x)
                for column in item.values.values()
                for x in column
                if not math.isnan(x)
            )


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_damaged_bytes_are_read_or_refused(data):
    body = bytearray(json.dumps(answer()).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(body) - 1))
        body[start : start + data.draw(st.integers(0, 30))] = data.draw(st.binary(max_size=12))
    try:
        decode(bytes(body))
    except BadPayload:
        return
