"""Every recorded answer of Open-Meteo is read, or refused for the right reason."""

import json
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from skyblend.sources.contract import (
    BadPayload,
    Decoded,
    Forecasts,
    Labels,
    Observations,
    Payload,
    Refusal,
    UnknownField,
)
from skyblend.sources.open_meteo import open_meteo

# file -> received, rows of forecasts, rows of observations
READ = {
    "all_blocks_weather_code_2023-11.json": ("2023-11-13T10:47", 158, 0),  # 168 hours, 10 are over
    "archive_hourly_brasilia_2023-10.json": ("2023-10-25T11:00", 0, 25),  # 24 hours and a day
    "current_alaska_2026-01.json": ("2026-01-20T19:20", 0, 0),
    "current_nyc_2026-05.json": ("2026-05-11T22:44", 0, 0),
    "current_weather_darwin_2023-10.json": ("2023-10-25T11:15", 0, 0),
    "current_weather_unixtime_munich.json": ("2026-02-07T15:20", 159, 0),
    "daily_alaska_2026-01.json": ("2026-01-20T19:20", 7, 0),
    "daily_pacific_2023-10.json": ("2023-10-25T11:15", 0, 0),  # all null
    "ensemble_gem_2026-10.json": ("2026-10-03T00:30", 63, 0),  # 21 members: two hours and a day
    "forecast_current_hourly_daily_nyc_2026-02.json": (
        "2026-02-06T21:40",
        311,
        0,
    ),  # 152 hours twice, 7 days
    "forecast_models_2026-10.json": ("2026-10-03T11:05", 9, 0),  # 3 models: two hours and a day
    "historical_forecast_2024.json": ("2026-10-03T12:00", 0, 5),
    "hourly_2day_london_2026-01.json": ("2026-01-19T05:02", 86, 0),  # 43 hours of two periods
    "hourly_2day_nyc_2026-01.json": ("2026-01-19T05:02", 96, 0),
    "hourly_brasilia_2023-10.json": ("2023-10-25T11:00", 160, 0),
    "multi_location_list_ecmwf_2024-01.json": ("2024-01-26T09:10", 2772, 0),  # 12 places, 231 h
    "multi_model_best_match_gfs_2023-11.json": ("2023-11-13T10:53", 316, 0),
    "previous_runs_2026-10.json": ("2026-10-03T18:40", 12, 0),  # 2 days, 3 hours, 2 periods
    "single_run_2026-09.json": ("2026-09-01T00:30", 5, 0),
}
REFUSED = {
    "error_latitude_400.json": ("status", "400"),
    "error_unknown_variable_400.json": ("$.error", "Cannot initialize"),
}
AMBIGUOUS = "forecast_models_one_covering_2026-10.json"


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def decode(path: Path, received: str, **known: str) -> list[Decoded]:
    recording = Path(f"{path}.meta.json")
    meta = json.loads(recording.read_text()) if recording.exists() else {}
    facts = {"url": meta.get("url", ""), "status": meta.get("status", 200), "name": path.name}
    facts |= known
    with path.open("rb") as body:
        payload = Payload(body=body, received_at=moment(received), **facts)
        return list(open_meteo.decode(payload))


def value(
    items: list[Decoded], variable: str, valid: str, model: str = "", place: int = 0
) -> float:
    """The value of a variable at a time, of the first batch that has it."""
    for item in items:
        if isinstance(item, (Forecasts, Observations)) and variable in item.values:
            times = item.valid_at if isinstance(item, Forecasts) else item.observed_at
            chosen = times == np.datetime64(valid)
            if model:
                chosen &= item.model.codes == item.model.names.index(model)
            if isinstance(item.place_id, Labels):
                chosen &= item.place_id.codes == place
            if chosen.any():
                return float(item.values[variable][chosen][0])
    raise AssertionError(f"no {variable} at {valid}")


@pytest.mark.parametrize("name", READ)
def test_recorded_answers_give_their_rows(payloads, name):
    received, forecasts, observations = READ[name]
    items = decode(payloads / "open-meteo" / name, received)
    assert sum(len(item.valid_at) for item in items if isinstance(item, Forecasts)) == forecasts
    rows = sum(len(item.observed_at) for item in items if isinstance(item, Observations))
    assert rows == observations
    assert not [item for item in items if isinstance(item, Refusal)]


@pytest.mark.parametrize("name", REFUSED)
def test_recorded_errors_are_refused_with_their_reason(payloads, name):
    where, got = REFUSED[name]
    with pytest.raises(BadPayload) as caught:
        decode(payloads / "open-meteo" / name, "2026-01-01T00:00")
    assert caught.value.where == where
    assert got in caught.value.got


def test_no_recording_is_forgotten(payloads):
    names = {path.name for path in (payloads / "open-meteo").glob("*.json")}
    assert {n for n in names if not n.endswith(".meta.json")} == {*READ, *REFUSED, AMBIGUOUS}


def test_several_models_asked_and_no_suffix_is_refused(payloads):
    path = payloads / "open-meteo" / AMBIGUOUS
    url = "https://api.open-meteo.com/v1/forecast?hourly=temperature_2m&models="
    with pytest.raises(BadPayload, match="which of icon_d2, icon_eu answered") as caught:
        decode(path, "2026-10-03T11:10", url=f"{url}icon_d2,icon_eu")
    assert caught.value.where == "$.hourly.temperature_2m"
    (one,) = decode(path, "2026-10-03T11:10", url=f"{url}icon_eu")
    assert (one.model, one.values["temperature_2m"].tolist()) == ("icon_eu", [19.3, 20.0])


def test_the_longest_suffix_is_the_model(payloads):
    items = decode(payloads / "open-meteo" / "forecast_models_2026-10.json", "2026-10-03T11:05")
    # 13:00 in Zurich in summer is 11:00Z.
    assert value(items, "temperature_2m", "2026-10-03T11:00", "icon_seamless") == 20.3
    assert value(items, "temperature_2m", "2026-10-03T11:00", "meteoswiss_icon_seamless") == 20.7
    assert value(items, "temperature_2m", "2026-10-03T12:00", "gfs_seamless") == 21.9
    # The local day 3 October ends at 22:00Z.
    assert value(items, "temperature_2m_max", "2026-10-03T22:00", "gfs_seamless") == 22.4


def test_imperial_units_are_converted(payloads):
    items = decode(payloads / "open-meteo" / "hourly_2day_nyc_2026-01.json", "2026-01-19T05:02")
    # New York: 00:00 is 05:00Z. 30.4 F is -1.6 * 5 / 9.
    assert value(items, "temperature_2m", "2026-01-19T05:00") == pytest.approx(-0.8889, abs=1e-4)
    assert value(items, "wind_speed_10m", "2026-01-19T05:00") == pytest.approx(5 * 0.44704)
    first = value(items, "visibility", "2026-01-19T05:00")
    assert first == pytest.approx(45603.675 * 0.3048, rel=1e-6)


def test_previous_runs_carry_their_age(payloads):
    path = payloads / "open-meteo" / "previous_runs_2026-10.json"
    instants, sums = decode(path, "2026-10-03T18:40")
    lead = (instants.valid_at - instants.issued_at) / np.timedelta64(1, "h")
    assert lead.tolist() == [24, 24, 24, 48, 48, 48]
    assert instants.values["temperature_2m"].tolist() == [14.2, 12.9, 12.1, 14.4, 14.2, 13.4]
    assert ((instants.known_at - instants.issued_at) == np.timedelta64(6, "h")).all()
    assert (instants.period, sums.period) == (0, 3600)


def test_a_zone_is_read_by_its_name_and_not_by_todays_offset(payloads):
    path = payloads / "open-meteo" / "historical_forecast_2024.json"
    items = decode(path, "2026-10-03T12:00")
    # January in Amsterdam is UTC+1, though the body's offset says +2 h.
    assert value(items, "temperature_2m", "2023-12-31T23:00") == 7.9
    assert value(items, "temperature_2m_max", "2024-01-01T23:00") == 8.1


@pytest.mark.parametrize(
    ("name", "last"),
    [
        ("forecast_current_hourly_daily_nyc_2026-02.json", "2026-02-13T05:00Z"),
        ("hourly_brasilia_2023-10.json", "2023-11-01T02:00Z"),
        ("multi_location_list_ecmwf_2024-01.json", "2024-02-04T23:00Z"),
    ],
)
def test_a_forecast_that_was_saved_and_is_all_past_never_becomes_an_observation(
    payloads, name, last
):
    with pytest.raises(BadPayload, match="say when it was received") as caught:
        decode(payloads / "open-meteo" / name, "2026-11-21T05:00")
    assert (caught.value.where, caught.value.got) == ("the times", f"{last} as the last")


def test_an_answer_of_the_archive_is_told_by_its_name_its_url_or_its_endpoint(payloads):
    path = payloads / "open-meteo" / "archive_hourly_brasilia_2023-10.json"
    url = "https://archive-api.open-meteo.com/v1/archive?hourly=temperature_2m"
    for known in ({}, {"name": "x", "url": url}, {"name": "x", "endpoint": "archive"}):
        assert all(isinstance(x, Observations) for x in decode(path, "2023-10-25T11:00", **known))
    with pytest.raises(BadPayload, match="or 'archive' in the file's name"):
        decode(path, "2023-10-25T11:00", name="x.json")


def test_an_archive_is_analysis(payloads):
    path = payloads / "open-meteo" / "archive_hourly_brasilia_2023-10.json"
    hours, day = decode(path, "2023-10-25T11:00")
    assert (hours.kind, hours.source, hours.period) == ("analysis", "open_meteo", 0)
    assert hours.place_id == "-15.8000,-47.9000"
    assert str(hours.observed_at[0])[:16] == "2022-12-29T03:00"  # Sao Paulo is UTC-3
    assert day.values["temperature_2m_max"].tolist() == [26.4]
    assert day.period.tolist() == [86400]


def test_places_of_a_list_are_matched_by_position(payloads):
    path = payloads / "open-meteo" / "multi_location_list_ecmwf_2024-01.json"
    (batch,) = decode(path, "2024-01-26T00:05")
    assert len(batch.valid_at) == 12 * 240
    assert value([batch], "temperature_2m", "2024-01-26T00:00") == 11.9
    assert value([batch], "temperature_2m", "2024-01-26T00:00", place=3) == 9.8


def test_members_stand_beside_the_control_run(payloads):
    path = payloads / "open-meteo" / "ensemble_gem_2026-10.json"
    batches = [x for x in decode(path, "2026-10-03T00:30") if isinstance(x, Forecasts)]
    assert batches[0].member.names == ("", *(f"{n:02d}" for n in range(1, 21)))
    assert batches[0].values["temperature_2m"][:4].tolist() == [10.5, 10.1, 10.1, 9.8]


def test_unknown_fields_are_named_once(payloads):
    path = payloads / "open-meteo" / "hourly_2day_london_2026-01.json"
    items = decode(path, "2026-01-19T05:02")
    unknown = [item.where for item in items if isinstance(item, UnknownField)]
    assert unknown == [
        "$.hourly.uv_index",
        "$.hourly.snow_depth",
        "$.hourly.freezing_level_height",
        "$.hourly.apparent_temperature",
    ]
