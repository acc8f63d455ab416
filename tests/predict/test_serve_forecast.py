"""GET /v1/forecast in Open-Meteo's shape, from prepared bytes that are never stale."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from skyblend.predict.serve.issue import issue
from skyblend.protos.v1.records_pb2 import Place, Run
from skyblend.runtime import names
from skyblend.runtime.place import Runtime

AT_BERLIN = "/v1/forecast?latitude=52.52&longitude=13.41"
Call = Callable[..., Any]
Put = Callable[..., None]
RunOf = Callable[..., Run]


@pytest.fixture
def served(runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: datetime) -> Runtime:
    """Berlin with 200 hours of 0, 1, 2 ... degC from 10:00 on, highs of 24 h and lows of 12 h."""
    first = datetime(2026, 11, 21, tzinfo=UTC)
    day = {"first": first, "step": 86400}
    put(
        berlin,
        run_of("gfs", range(200)),
        run_of("gfs_day", [5, 6, 7], variable="TEMPERATURE_2M_MAX", period=86400, **day),
        run_of("nws_day", [50, 60], variable="TEMPERATURE_2M_MAX", period=43200, **day),
        run_of("nws_low", [-1, -2], variable="TEMPERATURE_2M_MIN", period=43200, **day),
    )
    issue(runtime, now=now)
    return runtime


@pytest.mark.usefixtures("served")
def test_the_shape_is_open_meteos(call: Call, payloads: Path) -> None:
    real = json.loads(
        (payloads / "open-meteo/forecast_current_hourly_daily_nyc_2026-02.json").read_text()
    )
    ours = call(
        f"{AT_BERLIN}&hourly=temperature_2m&daily=temperature_2m_max&timezone=America/New_York"
    ).json
    theirs = {name: value for name, value in real.items() if not name.startswith("current")}
    assert {name: type(value) for name, value in ours.items() if name in theirs} == {
        name: type(value) for name, value in theirs.items()
    }
    assert ours.keys() - theirs.keys() == {"simulated", "skyblend"}
    for block in ("hourly", "daily"):
        assert ours[f"{block}_units"].keys() == ours[block].keys()
        for name, unit in ours[f"{block}_units"].items():
            assert real[f"{block}_units"][name] == unit
        assert [len(t) for t in ours[block]["time"]] == [len(t) for t in real[block]["time"]]
    for name in ("utc_offset_seconds", "timezone", "timezone_abbreviation"):
        assert ours[name] == real[name]


@pytest.mark.usefixtures("served")
def test_hours_begin_at_the_days_first_and_are_null_before_the_issue(call: Call) -> None:
    hourly = call(f"{AT_BERLIN}&hourly=temperature_2m&quantiles=p50").json["hourly"]
    assert hourly["time"][0] == "2026-11-20T00:00"
    assert hourly["time"][-1] == "2026-11-26T23:00"
    # 10:00 is past at 10:20; the run says 1 at 11:00.
    assert hourly["temperature_2m"][:13] == [None] * 11 + [1.0, 2.0]
    assert hourly["temperature_2m_p50"][11:13] == [1.0, 2.0]
    assert [len(values) for values in hourly.values()] == [168] * 3


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("zone", "first", "abbreviation", "row"),
    [
        # 11:00Z is row 11 of the GMT day, 06:00 in New York, 16:30 in Kolkata (rows at :30).
        ("GMT", "2026-11-20T00:00", "GMT", 11),
        ("America/New_York", "2026-11-20T00:00", "GMT-5", 6),
        ("Asia/Kolkata", "2026-11-20T00:30", "GMT+5:30", 16),
        ("Pacific/Kiritimati", "2026-11-21T00:00", "GMT+14", 1),
    ],
)
def test_hours_in_a_zone(call: Call, zone: str, first: str, abbreviation: str, row: int) -> None:
    got = call(f"{AT_BERLIN}&hourly=temperature_2m&timezone={zone}").json
    assert (got["hourly"]["time"][0], got["timezone_abbreviation"]) == (first, abbreviation)
    assert got["hourly"]["temperature_2m"][row] == 1.0


@pytest.mark.usefixtures("served")
def test_unix_times(call: Call) -> None:
    got = call(
        f"{AT_BERLIN}&hourly=temperature_2m&daily=temperature_2m_max&timeformat=unixtime"
        "&timezone=America/New_York&forecast_days=1"
    ).json
    midnight = int(datetime(2026, 11, 20, 5, tzinfo=UTC).timestamp())
    assert got["hourly"]["time"] == [midnight + 3600 * row for row in range(24)]
    assert got["daily"]["time"] == [midnight]
    assert got["hourly_units"]["time"] == "unixtime"


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("period", "first", "last", "days"),
    [
        ("past_days=2&forecast_days=1", "2026-11-18T00:00", "2026-11-20T23:00", (18, 19, 20)),
        (
            "start_date=2026-11-21&end_date=2026-11-22",
            "2026-11-21T00:00",
            "2026-11-22T23:00",
            (21, 22),
        ),
        # Hours narrow the hourly rows alone; 10:20 is in the hour of 10:00.
        ("forecast_hours=3&forecast_days=2", "2026-11-20T10:00", "2026-11-20T12:00", (20, 21)),
        (
            "forecast_hours=1&past_hours=2&forecast_days=1",
            "2026-11-20T08:00",
            "2026-11-20T10:00",
            (20,),
        ),
        ("past_hours=2&forecast_days=1", "2026-11-20T08:00", "2026-11-20T23:00", (20,)),
    ],
)
def test_the_period_asked_is_the_period_answered(
    call: Call, period: str, first: str, last: str, days: tuple[int, ...]
) -> None:
    got = call(f"{AT_BERLIN}&hourly=temperature_2m&daily=temperature_2m_max&{period}").json
    hourly, daily = got["hourly"], got["daily"]
    assert (hourly["time"][0], hourly["time"][-1]) == (first, last)
    assert daily["time"] == [f"2026-11-{day}" for day in days]
    # The run says 0 at 10:00, which is past, 1 at 11:00, and 5, 6, 7 for the days from the 20th on.
    begin = datetime(2026, 11, 20, 10, tzinfo=UTC)
    hours = [datetime.fromisoformat(f"{time}Z") - begin for time in hourly["time"]]
    assert hourly["temperature_2m"] == [
        max(0.0, hour / timedelta(hours=1)) or None for hour in hours
    ]
    assert daily["temperature_2m_max"] == [float(day - 15) if day > 19 else None for day in days]
    assert got["skyblend"]["notes"] == []


@pytest.mark.usefixtures("served")
def test_dates_are_those_of_the_zone_asked(call: Call) -> None:
    url = f"{AT_BERLIN}&hourly=temperature_2m&start_date=2026-11-20&end_date=2026-11-20"
    hourly = call(f"{url}&timezone=America/New_York").json["hourly"]
    assert (hourly["time"][0], hourly["time"][-1]) == ("2026-11-20T00:00", "2026-11-20T23:00")
    # 06:00 in New York is 11:00Z; 23:00 is 04:00Z of the 21st, 18 h after 10:00Z.
    assert hourly["temperature_2m"][5:7] == [None, 1.0]
    assert hourly["temperature_2m"][-1] == 18.0


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("first", "last", "status"),
    [
        # 92 days before 2026-11-20 is 2026-08-20, 16 after it 2026-12-06.
        ("2026-08-20", "2026-12-06", 200),
        ("2026-08-19", "2026-11-20", 400),
        ("2026-11-20", "2026-12-07", 400),
        ("1900-01-01", "1900-01-01", 400),
    ],
)
def test_dates_are_bounded(call: Call, first: str, last: str, status: int) -> None:
    got = call(f"{AT_BERLIN}&hourly=temperature_2m&start_date={first}&end_date={last}")
    assert got.status == status
    if status == 200:
        assert len(got.json["hourly"]["time"]) == (92 + 1 + 16) * 24
        assert got.json["hourly"]["temperature_2m"][-1] is None
    else:
        assert got.json["error"] is True
        assert "allowed from 2026-08-20 to 2026-12-06. Given: " in got.json["reason"]


@pytest.mark.usefixtures("served")
def test_the_current_hour_moves_with_the_clock(call: Call, clock: Any) -> None:
    url = f"{AT_BERLIN}&hourly=temperature_2m&forecast_hours=1"
    assert call(url).json["hourly"]["time"] == ["2026-11-20T10:00"]
    clock.move(40 * 60)
    assert call(url).json["hourly"] == {"time": ["2026-11-20T11:00"], "temperature_2m": [1.0]}


@pytest.mark.usefixtures("served")
def test_daily_serves_the_day_before_the_half_day_and_tells_the_period(call: Call) -> None:
    got = call(f"{AT_BERLIN}&daily=temperature_2m_max,temperature_2m_min&forecast_days=3").json
    assert got["daily"]["time"] == ["2026-11-20", "2026-11-21", "2026-11-22"]
    # Valid at 2026-11-21 00:00Z: the middle of 24 h is on the 20th at 12:00, of 12 h at 18:00.
    assert got["daily"]["temperature_2m_max"] == [5.0, 6.0, 7.0]
    assert got["daily"]["temperature_2m_min"] == [-1.0, -2.0, None]
    periods = {row["variable"]: row["period"] for row in got["skyblend"]["series"]}
    assert periods == {"temperature_2m_max": 86400, "temperature_2m_min": 43200}


@pytest.mark.usefixtures("served")
def test_the_date_is_that_of_the_periods_middle_in_the_zone(call: Call) -> None:
    # 12 h until 00:00Z have their middle at 18:00Z: already the 21st in Kiritimati (+14).
    url = f"{AT_BERLIN}&daily=temperature_2m_min&timezone=Pacific/Kiritimati&forecast_days=2"
    assert call(url).json["daily"] == {
        "time": ["2026-11-21", "2026-11-22"],
        "temperature_2m_min": [-1.0, -2.0],
    }


@pytest.mark.usefixtures("served")
def test_an_elevation_and_fahrenheit_are_honoured(call: Call) -> None:
    # 1000 m above Berlin's 40 m: 1 - 6.5 = -5.5 degC = 22.1 degF.
    url = f"{AT_BERLIN}&hourly=temperature_2m&elevation=1040&temperature_unit=fahrenheit"
    got = call(url).json
    assert got["hourly"]["temperature_2m"][11] == 22.1
    assert (got["elevation"], got["hourly_units"]["temperature_2m"]) == (1040.0, "°F")


def test_zero_has_no_minus(
    call: Call, runtime: Runtime, put: Put, run_of: RunOf, now: datetime
) -> None:
    put(Place(id="berlin"), run_of("gfs", [0, -0.001]))
    issue(runtime, now=now)
    assert b"[null,null,null,null,null,null,null,null,null,null,null,0.0,null" in (
        call("/v1/forecast?place=berlin&hourly=temperature_2m").body
    )


@pytest.mark.usefixtures("served")
def test_what_nobody_issues_is_null_and_named(call: Call) -> None:
    got = call(f"{AT_BERLIN}&hourly=wind_speed_10m").json
    assert set(got["hourly"]["wind_speed_10m"]) == {None}
    assert got["hourly_units"]["wind_speed_10m"] == "km/h"
    assert got["skyblend"]["not_issued"] == ["wind_speed_10m"]


@pytest.mark.usefixtures("served")
def test_a_near_point_is_answered_by_its_place(call: Call) -> None:
    got = call("/v1/forecast?latitude=52.62&longitude=13.41&hourly=temperature_2m").json
    assert got["skyblend"]["place"] == "berlin"
    # 0.1 degree of latitude: 6371.0088 km * 0.1 * pi / 180 = 11.12 km
    assert got["skyblend"]["distance_km"] == pytest.approx(11.12, abs=0.001)
    assert got["latitude"] == 52.52


def test_a_place_beside_a_served_one_does_not_take_its_address_before_it_is_served(
    call: Call, clock: Any, served: Runtime, put: Put, run_of: RunOf
) -> None:
    a_km_north = Place(id="mast", latitude=52.53, longitude=13.41)
    put(a_km_north)
    at_mast = "/v1/forecast?latitude=52.53&longitude=13.41&hourly=temperature_2m"
    assert call(at_mast).json["skyblend"]["place"] == "berlin"
    put(a_km_north, run_of("gfs", range(20)))
    issue(served, now=clock.now + timedelta(seconds=1))
    clock.move(3)
    assert call(at_mast).json["skyblend"]["place"] == "mast"


@pytest.mark.usefixtures("served")
def test_a_far_point_is_told_how_to_be_added(call: Call) -> None:
    got = call("/v1/forecast?latitude=48.1&longitude=11.6")
    assert got.status == 404
    assert got.json["error"] is True
    assert "no place within 30 km of 48.1, 11.6" in got.json["reason"]
    assert "skyblend places add ID --lat 48.1 --lon 11.6" in got.json["reason"]


@pytest.mark.usefixtures("served")
def test_a_list_of_points_answers_with_a_list(call: Call) -> None:
    url = "/v1/forecast?latitude=52.52,52.53&longitude=13.41,13.41&hourly=temperature_2m"
    got = call(url).json
    assert [one["skyblend"]["distance_km"] > 1 for one in got] == [False, True]


@pytest.mark.usefixtures("served")
def test_a_place_by_its_id(call: Call) -> None:
    assert call("/v1/forecast?place=berlin").json["skyblend"]["name"] == "Berlin"
    assert call("/v1/forecast?place=rome").status == 404


def test_a_place_without_an_issue_is_503(call: Call, put: Put, berlin: Place) -> None:
    put(berlin)
    got = call(AT_BERLIN)
    assert (got.status, got.json) == (
        503,
        {"error": True, "reason": "no forecast has been issued yet for berlin"},
    )


def test_no_place_at_all_is_404(call: Call) -> None:
    assert "none has coordinates" in call(AT_BERLIN).json["reason"]


@pytest.mark.usefixtures("served")
def test_the_answer_tells_what_it_was_made_of(call: Call) -> None:
    got = call(f"{AT_BERLIN}&hourly=temperature_2m&models=gfs").json
    assert got["simulated"] is False
    assert got["skyblend"] | {"sources": got["skyblend"]["sources"][:1], "note": ""} == {
        "place": "berlin",
        "name": "Berlin",
        "distance_km": 0.0,
        "issued_at": "2026-11-20T10:20:00Z",
        "note": "",
        "notes": ["ignored parameters: models"],
        "series": [{"variable": "temperature_2m", "period": 0, "model": None}],
        "sources": [
            {
                "source": "open_meteo",
                "model": "gfs",
                "issued_at": "2026-11-20T06:20:00Z",
                "age_hours": 4.0,
                "attribution": {
                    "text": "Weather data by Open-Meteo.com",
                    "url": "https://open-meteo.com/",
                    "licence": "CC BY 4.0",
                },
            }
        ],
        "missing": [],
        "not_issued": [],
    }
    assert "default spread" in got["skyblend"]["note"]


@pytest.mark.usefixtures("served")
def test_the_etag_spares_the_body(call: Call) -> None:
    first = call(f"{AT_BERLIN}&hourly=temperature_2m")
    again = call(f"{AT_BERLIN}&hourly=temperature_2m", HTTP_IF_NONE_MATCH=first.headers["ETag"])
    assert (again.status, again.body, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = call(f"{AT_BERLIN}&hourly=temperature_2m", HTTP_IF_NONE_MATCH='W/"other"')
    assert other.status == 200


@pytest.mark.usefixtures("served")
def test_headers(call: Call) -> None:
    got = call(f"{AT_BERLIN}&hourly=temperature_2m")
    assert got.headers["Content-Length"] == str(len(got.body))
    assert got.headers["Content-Type"].startswith("application/json")
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    head = call(f"{AT_BERLIN}&hourly=temperature_2m", method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert head.headers["Content-Length"] == str(len(got.body))


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8083", "", "127.0.0.1.evil.example"]
)
def test_another_host_is_refused(call: Call, host: str) -> None:
    call(AT_BERLIN)  # the answer is prepared, the guard stands before it
    assert call(AT_BERLIN, host=host).status == 421


@pytest.mark.usefixtures("served")
def test_a_bad_value_has_open_meteos_error(call: Call) -> None:
    got = call("/v1/forecast?latitude=200.0&longitude=1")
    assert got.status == 400
    assert got.json == {
        "error": True,
        "reason": "Latitude must be in range of -90 to 90. Given: 200.0.",
    }


def test_only_get_is_answered(call: Call) -> None:
    got = call(AT_BERLIN, method="POST", token="secret-of-the-test")
    assert (got.status, got.headers["Allow"]) == (405, "GET, HEAD")


def test_a_new_issue_is_seen_after_two_seconds_and_not_looked_for_before(
    call: Call, clock: Any, served: Runtime, put: Put, run_of: RunOf
) -> None:
    berlin = Place(id="berlin", latitude=52.52, longitude=13.41)
    url = f"{AT_BERLIN}&hourly=temperature_2m"
    assert call(url).json["hourly"]["temperature_2m"][11] == 1.0
    put(berlin, run_of("gfs", range(100, 300)))
    issue(served, now=clock.now + timedelta(seconds=1))
    clock.move(1)
    assert call(url).json["hourly"]["temperature_2m"][11] == 1.0
    clock.move(1)
    assert call(url).json["hourly"]["temperature_2m"][11] == 101.0


@pytest.mark.usefixtures("served")
def test_the_day_turns_without_a_new_issue(call: Call, clock: Any) -> None:
    url = f"{AT_BERLIN}&hourly=temperature_2m"
    assert call(url).json["hourly"]["time"][0] == "2026-11-20T00:00"
    clock.move(13 * 3600 + 40 * 60)  # 00:00
    got = call(url).json
    assert got["hourly"]["time"][0] == "2026-11-21T00:00"
    # Midnight is 14 hours after 10:00.
    assert got["hourly"]["temperature_2m"][0] == 14.0
    assert got["skyblend"]["sources"][0]["age_hours"] == 17.7


def test_a_removed_issue_is_no_longer_served(call: Call, clock: Any, served: Runtime) -> None:
    assert call(AT_BERLIN).status == 200
    served.storage.delete(names.issued("berlin"))
    clock.move(2)
    assert call(AT_BERLIN).status == 503


def test_a_damaged_issue_is_an_error_and_no_guess(call: Call, clock: Any, served: Runtime) -> None:
    served.storage.write(names.issued("berlin"), b"\xff\xff")
    got = call(AT_BERLIN)
    assert (got.status, got.json["reason"]) == (500, "the forecast could not be read")
