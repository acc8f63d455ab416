"""Times of Open-Meteo: zones, days, earlier runs, archives and single runs."""

from datetime import UTC, datetime
from typing import Any

import numpy as np
from open_meteo_cases import RECEIVED, answer, decode, hours, refusal
from skyblend.sources.contract import (
    Observations,
)


def test_epochs_are_true_utc_also_with_a_zone():
    body = answer(
        {"time": [1795172400, 1795176000], "temperature_2m": [1.0, 2.0]},
        timezone="Europe/Berlin",
        utc_offset_seconds=3600,
    )
    body["hourly_units"]["time"] = "unixtime"
    # 1795172400 = 20777 days and 39600 s: 2026-11-20T11:00Z.
    (batch,) = decode(body, url="")
    assert batch.valid_at.astype(str).tolist()[0] == "2026-11-20T11:00:00.000000"


def test_the_hour_that_the_clock_shows_twice():
    times = ["2026-10-25T01:00", "2026-10-25T02:00", "2026-10-25T02:00", "2026-10-25T03:00"]
    received = datetime(2026, 10, 24, 12, tzinfo=UTC)
    zone = {"timezone": "Europe/Berlin", "utc_offset_seconds": 7200}
    body = answer({"time": times, "temperature_2m": [1.0, 2.0, 3.0, 4.0]}, **zone)
    (batch,) = decode(body, url="", received_at=received)
    assert [text[5:16] for text in batch.valid_at.astype(str)] == [
        "10-24T23:00", "10-25T00:00", "10-25T01:00", "10-25T02:00",
    ]  # fmt: skip
    once = answer({"time": times[1:2] + times[3:], "temperature_2m": [2.0, 4.0]}, **zone)
    bad, batch = decode(once, url="", received_at=received)
    assert (bad.where, bad.got) == ("$.hourly.time[0]", "2026-10-25T02:00")
    assert batch.values["temperature_2m"].tolist() == [4.0]


def test_the_hour_that_the_clock_skips_is_refused():
    times = ["2026-03-29T01:00", "2026-03-29T02:00", "2026-03-29T03:00"]
    body = answer({"time": times, "temperature_2m": [1.0, 2.0, 3.0]}, timezone="Europe/Berlin")
    bad, batch = decode(body, url="", received_at=datetime(2026, 3, 28, tzinfo=UTC))
    assert bad.where == "$.hourly.time[1]"
    assert [text[5:16] for text in batch.valid_at.astype(str)] == ["03-29T00:00", "03-29T01:00"]


def test_a_local_day_of_summer_time_has_its_own_length():
    daily = {"time": ["2026-10-25", "2026-10-26"], "temperature_2m_max": [9.0, 8.0]}
    body = answer(
        daily=daily,
        daily_units={"time": "iso8601", "temperature_2m_max": "°C"},
        timezone="Europe/Berlin",
    )
    del body["hourly"], body["hourly_units"]
    (batch,) = decode(body, url="", received_at=datetime(2026, 10, 24, tzinfo=UTC))
    assert batch.period.tolist() == [90_000, 86_400]
    assert [text[5:16] for text in batch.valid_at.astype(str)] == ["10-25T23:00", "10-26T23:00"]


def previous(first: str, count: int, received: datetime = RECEIVED) -> list[Any]:
    columns = {
        "time": hours(count, first),
        "temperature_2m": [99.0] * count,
        "temperature_2m_previous_day0_ecmwf_ifs025": [98.0] * count,
        "temperature_2m_previous_day2_ecmwf_ifs025": [float(n % 24) for n in range(count)],
    }
    return decode(answer(columns), endpoint="previous_runs", url="", received_at=received)


def test_previous_runs_leave_out_the_newest_and_add_the_extremes_of_complete_days():
    instants, extremes = previous("2026-11-17T00:00", 30)
    assert instants.model == "ecmwf_ifs025"
    assert instants.values["temperature_2m"].max() == 23.0
    assert (instants.valid_at - instants.issued_at == np.timedelta64(48, "h")).all()
    # Of 30 hours only the 17th is a complete day; its extremes end at 00Z of the 18th.
    assert extremes.valid_at.astype(str).tolist() == ["2026-11-18T00:00:00.000000"]
    assert extremes.issued_at.astype(str).tolist() == ["2026-11-16T00:00:00.000000"]
    assert extremes.known_at.astype(str).tolist() == ["2026-11-16T06:00:00.000000"]
    assert extremes.values["temperature_2m_max"].tolist() == [23.0]
    assert extremes.values["temperature_2m_min"].tolist() == [0.0]
    assert extremes.period == 86400


def test_previous_runs_are_never_issued_after_receipt_nor_known_later():
    instants, *_ = previous("2026-11-22T00:00", 24)
    # Received 20 November 10:20: issued two days before, so valid until the 22nd, 10:00.
    assert len(instants.valid_at) == 11
    assert instants.known_at.max() == np.datetime64("2026-11-20T10:20")


def test_previous_runs_without_their_keys_are_refused():
    bad = refusal(answer(), endpoint="previous_runs")
    assert bad.expected == "keys with _previous_day1 to _previous_day7"


def test_the_archive_gives_what_is_over_as_analysis():
    body = answer({"time": hours(24), "temperature_2m": [float(n) for n in range(24)]})
    url = "https://archive-api.open-meteo.com/v1/archive?models=best_match"
    (live,) = decode(body, url=url, endpoint="archive")
    assert isinstance(live, Observations)
    assert (live.kind, len(live.observed_at)) == ("analysis", 11)  # 00 to 10
    assert live.known_at == np.datetime64("2026-11-20T10:20")
    (late,) = decode(body, url=url, endpoint="archive_backfill")
    # Six hours after the observation, and never after receipt: 06:00 ... 10:20.
    assert str(late.known_at[0])[:16] == "2026-11-20T06:00"
    assert str(late.known_at[-1])[:16] == "2026-11-20T10:20"


def test_a_body_that_ended_days_ago_is_an_archives_only_where_that_is_said():
    body = answer({"time": hours(24, "2026-11-10T00:00"), "temperature_2m": [1.0] * 24})
    assert refusal(body, url="").got == "2026-11-10T23:00Z as the last"
    assert isinstance(decode(body, url="", name="archive.json")[0], Observations)
    assert decode(body, endpoint="forecast", url="") == []


def test_a_saved_forecast_in_a_folder_called_archive_stays_a_forecast():
    body = answer({"time": hours(24, "2026-11-10T00:00"), "temperature_2m": [1.0] * 24})
    for name in ("archive/berlin.json", "archive\\berlin.json", "historical/2026/berlin.json"):
        assert refusal(body, url="", name=name).where == "the times"
    assert isinstance(decode(body, url="", name="berlin/archive_2026.json")[0], Observations)


def test_a_forecast_by_its_url_that_is_all_past_is_refused_and_not_passed_over():
    body = answer({"time": hours(24, "2026-11-10T00:00"), "temperature_2m": [1.0] * 24})
    url = "https://api.open-meteo.com/v1/forecast?hourly=temperature_2m"
    assert refusal(body, url=url, name="archive.json").got == "2026-11-10T23:00Z as the last"
    then = datetime(2026, 11, 10, 3, 30, tzinfo=UTC)
    (batch,) = decode(body, url=url, received_at=then)
    assert len(batch.valid_at) == 21  # 03 to 23, issued at 03
    assert str(batch.issued_at)[:16] == "2026-11-10T03:00"


def test_a_single_run_is_issued_at_its_run():
    body = answer({"time": hours(3), "temperature_2m": [1.0, 2.0, 3.0]})
    host = "https://single-runs-api.open-meteo.com/v1/forecast"
    (batch,) = decode(body, url=f"{host}?run=2026-11-20T00:00")
    assert str(batch.issued_at)[:16] == "2026-11-20T00:00"
    assert str(batch.known_at)[:16] == "2026-11-20T06:00"
    assert refusal(body, url=host).expected == "run=YYYY-MM-DDTHH:MM"
