"""What is asked of Open-Meteo."""

from datetime import UTC, datetime

import pytest
from open_meteo_cases import BERLIN, OSLO
from skyblend.protos.v1.records_pb2 import Place
from skyblend.sources.open_meteo import HOURLY, MODELS, open_meteo, weight


def test_requests_ask_explicitly_and_are_the_same_for_the_same_slot():
    slot = datetime(2026, 11, 20, 10, tzinfo=UTC)
    many = [BERLIN, OSLO, Place(id="nowhere")] * 30  # 60 places with a position
    requests = list(open_meteo.requests("forecast", many, slot=slot, options={}))
    assert requests == list(open_meteo.requests("forecast", many, slot=slot, options={}))
    assert [len(request.places) for request in requests] == [50, 10]
    one = requests[0]
    assert one.url == "https://api.open-meteo.com/v1/forecast"
    assert one.params["hourly"] == ",".join(HOURLY)
    assert one.params["models"] == ",".join(MODELS)
    assert (one.params["timezone"], one.params["wind_speed_unit"]) == ("GMT", "ms")
    assert (one.params["forecast_days"], one.params["latitude"][:15]) == ("10", "52.5200,59.9100")
    # 18 variables of 6 models are 10.8 calls a place.
    assert one.weight == pytest.approx(50 * 10.8)


def test_options_give_the_key_the_models_and_the_address():
    options = {"apikey": "hidden", "models": "icon_eu", "forecast_url": "http://127.0.0.1:9/v1/f"}
    slot = datetime(2026, 11, 20, 10, tzinfo=UTC)
    (request,) = open_meteo.requests("forecast", [BERLIN], slot=slot, options=options)
    assert (request.url, request.params["models"]) == ("http://127.0.0.1:9/v1/f", "icon_eu")
    assert request.params["apikey"] == "hidden"
    assert request.secrets == {"apikey"}
    assert request.params["elevation"] == "38"


def test_back_fill_asks_each_place_once():
    slot = datetime(2026, 11, 20, 10, tzinfo=UTC)
    options = {"backfill_days": "30"}
    one, two = open_meteo.requests("previous_runs", [BERLIN, OSLO], slot=slot, options=options)
    assert [place.id for place in two.places] == ["oslo"]
    assert (one.params["past_days"], one.params["forecast_days"]) == ("30", "1")
    assert one.params["hourly"].startswith(
        "temperature_2m_previous_day1,temperature_2m_previous_day2"
    )
    # 7 variables of 6 models over 31 days: 4.2 * 31 / 14.
    assert one.weight == pytest.approx(9.3)
    (archive,) = open_meteo.requests("archive_backfill", [OSLO], slot=slot, options=options)
    assert (archive.params["start_date"], archive.params["end_date"]) == (
        "2026-10-21",
        "2026-11-20",
    )
    assert archive.params["models"] == "best_match"
    assert "visibility" not in archive.params["hourly"]
    with pytest.raises(ValueError, match="backfill_days must be 1 to 92, got 'many'"):
        list(
            open_meteo.requests(
                "previous_runs", [OSLO], slot=slot, options={"backfill_days": "many"}
            )
        )


def test_weight_of_a_small_request_is_one_call_a_place():
    assert weight(3, {"hourly": "temperature_2m"}, 7) == 3.0
