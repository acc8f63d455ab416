"""The other endpoints: their guards, the page's data, health, events."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from skyblend.predict.serve import ledger
from skyblend.predict.serve.issue import issue
from skyblend.protos.v1.events_pb2 import ModelPromoted, RawStored, RecordsReady
from skyblend.protos.v1.records_pb2 import Attribution, Place, Run
from skyblend.runtime.bus.push import encode
from skyblend.runtime.place import Runtime

TOKEN = "secret-of-the-test"
POSTS = ["/v1/issue", "/v1/events/records-ready", "/v1/events/model-promoted"]
GETS = ["/v1/places", "/v1/sources", "/v1/series", "/v1/skill", "/health", "/metrics", "/"]
Call = Callable[..., Any]
Put = Callable[..., None]
RunOf = Callable[..., Run]


@pytest.fixture
def served(runtime: Runtime, put: Put, run_of: RunOf, berlin: Place, now: Any) -> Runtime:
    put(
        berlin, run_of("gfs", [0, 1, 2]), run_of("icon", [0, 3], issued_at=now - timedelta(hours=2))
    )
    put(Place(id="rome"))
    issue(runtime, now=now)
    return runtime


def _push(event: Any, now: Any) -> bytes:
    return encode(event, trace="t1", message_id="1", published_at=now)


@pytest.mark.parametrize("path", POSTS)
def test_what_changes_something_wants_the_token(call: Call, path: str) -> None:
    assert call(path, method="POST").status == 401
    assert call(path, method="POST", token="wrong").status == 401
    got = call(path, method="POST", token="")
    assert got.headers["Content-Type"] == "application/problem+json"


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", ""])
def test_a_browsers_form_is_refused(call: Call, path: str, kind: str) -> None:
    assert call(path, method="POST", token=TOKEN, CONTENT_TYPE=kind).status == 415


@pytest.mark.parametrize("path", [path for path in GETS + POSTS if path != "/health"])
def test_another_host_is_refused_but_a_probe(call: Call, path: str) -> None:
    method = "POST" if path in POSTS else "GET"
    assert call(path, method=method, token=TOKEN, host="evil.example").status == 421


@pytest.mark.parametrize("path", [*GETS, "/v1/nothing", "/v1/issue"])
def test_every_answer_has_the_security_headers(call: Call, path: str) -> None:
    headers = call(path).headers
    assert headers["Content-Security-Policy"] == "default-src 'self'"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"


def test_errors_are_problems(call: Call) -> None:
    for path, status in (("/v1/nothing", 404), ("/v1/issue", 405)):
        got = call(path)
        assert (got.status, got.json["status"]) == (status, status)
        assert got.headers["Content-Type"] == "application/problem+json"
    assert "POST" in call("/v1/issue").headers["Allow"]


def test_issue_answers_with_its_report_once(
    call: Call, put: Put, run_of: RunOf, berlin: Place
) -> None:
    put(berlin, run_of("gfs", [0, 1, 2]))
    first = call("/v1/issue", method="POST", token=TOKEN, body=b"{}")
    one = {"issued": ["berlin"], "unchanged": [], "waiting": [], "segment": 1}
    assert first.json == {"simulated": False, **one}
    again = call("/v1/issue", method="POST", token=TOKEN)
    none = {"issued": [], "unchanged": ["berlin"], "waiting": [], "segment": 0}
    assert again.json == {"simulated": False, **none}


def test_a_tick_of_the_past_issues_nothing_in_the_past(
    call: Call, clock: Any, put: Put, run_of: RunOf
) -> None:
    put(Place(id="berlin"), run_of("gfs", range(10)))
    for hours, issued in ((1, ["berlin"]), (0, []), (1, ["berlin"])):
        clock.move(3600 * hours)
        body = b'{"tick": "2026-11-20T10:00:00Z"}'
        assert call("/v1/issue", method="POST", token=TOKEN, body=body).json["issued"] == issued
    assert call("/v1/places").json["places"][0]["issued_at"] == "2026-11-20T12:20:00Z"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"tick": 5}', b'{"tick": "now"}', b'{"tick": "2026-11-20"}']
)
def test_a_bad_tick_is_refused(call: Call, body: bytes) -> None:
    got = call("/v1/issue", method="POST", token=TOKEN, body=body)
    assert got.status == 400
    assert got.json["detail"]


def test_records_ready_issues_the_places_it_names_and_get_sees_it_at_once(
    call: Call, runtime: Runtime, put: Put, run_of: RunOf, now: Any
) -> None:
    put(Place(id="berlin"), run_of("gfs", [0, 1, 2]))
    assert call("/v1/forecast?place=berlin").status == 503
    for places, segments in (([], 0), (["rome"], 0), (["berlin"], 1), (["berlin"], 1)):
        push = _push(RecordsReady(object="raw/x", latest_places=places), now)
        got = call("/v1/events/records-ready", method="POST", token=TOKEN, body=push)
        assert got.status == 204
        assert ledger.verify(runtime.storage).segments == segments
    assert call("/v1/forecast?place=berlin").status == 200


def test_where_the_clock_issues_new_records_wait_for_it(
    runtime: Runtime, calling: Callable[[Runtime], Call], put: Put, run_of: RunOf, now: Any
) -> None:
    call = calling(replace(runtime, settings=replace(runtime.settings, issue_on="clock")))
    put(Place(id="berlin"), run_of("gfs", [0, 1, 2]))
    push = _push(RecordsReady(object="raw/x", latest_places=["berlin"]), now)
    assert call("/v1/events/records-ready", method="POST", token=TOKEN, body=push).status == 204
    assert ledger.verify(runtime.storage).segments == 0
    assert call("/v1/issue", method="POST", token=TOKEN, body=b"{}").status == 200
    assert ledger.verify(runtime.storage).segments == 1


def test_model_promoted_issues_all(
    call: Call, served: Runtime, put: Put, run_of: RunOf, now: Any
) -> None:
    put(Place(id="berlin"), run_of("gfs", [0, 5, 6]))
    push = _push(ModelPromoted(model_id="m1"), now)
    assert call("/v1/events/model-promoted", method="POST", token=TOKEN, body=push).status == 204
    assert ledger.verify(served.storage).segments == 2


def test_a_malformed_or_foreign_push_is_400(call: Call, now: Any) -> None:
    for body in (b"", b"{}", b'{"message": {}}', _push(RawStored(object="x"), now)):
        for path in POSTS[1:]:
            got = call(path, method="POST", token=TOKEN, body=body)
            assert (got.status, got.json["title"]) == (400, "bad push")


@pytest.mark.usefixtures("served")
def test_places(call: Call) -> None:
    got = call("/v1/places").json
    assert got["simulated"] is False
    berlin, rome = got["places"]
    assert berlin | {"note": "", "series": []} == {
        "id": "berlin",
        "name": "Berlin",
        "latitude": 52.52,
        "longitude": 13.41,
        "elevation": 40.0,
        "collect": False,
        "issued_at": "2026-11-20T10:20:00Z",
        "newest_source_at": "2026-11-20T08:20:00Z",
        "note": "",
        "series": [],
        "simulated": False,
    }
    assert (rome["latitude"], rome["issued_at"]) == (None, None)
    assert rome["note"] == "no forecast has been issued yet"


@pytest.mark.usefixtures("served")
def test_series_for_the_chart(call: Call) -> None:
    got = call("/v1/series?place=berlin&variable=temperature_2m").json
    assert got["mean"] == [2.0, 2.0]
    assert [member["values"] for member in got["members"]] == [[1.0, 2.0], [3.0, None]]
    assert [member["name"] for member in got["members"]] == ["open_meteo/gfs", "open_meteo/icon"]
    assert sorted(got["quantiles"]) == [f"p{level:02d}" for level in range(5, 100, 5)]
    assert got["quantiles"]["p50"] == [2.0, 2.0]
    assert got["quantiles"]["p10"][0] < 2.0 < got["quantiles"]["p90"][0]
    assert (got["unit"], got["period"], got["model"]) == ("degC", 0, None)
    assert got["time"][1] - got["time"][0] == 3600
    assert call("/v1/series").json == got


@pytest.mark.usefixtures("served")
def test_the_terms_of_the_data_are_told_once_for_the_page_and_for_each_source(call: Call) -> None:
    terms = {
        "text": "Weather data by Open-Meteo.com",
        "url": "https://open-meteo.com/",
        "licence": "CC BY 4.0",
    }
    assert call("/v1/series?place=berlin").json["attribution"] == [terms]
    rows = call("/v1/sources?place=berlin").json["sources"]
    assert [row["attribution"] for row in rows] == [terms, terms]


def test_unknown_terms_are_null_and_a_users_own_data_have_no_link(
    call: Call, put: Put, *, run_of: RunOf, berlin: Place, runtime: Runtime, now: Any
) -> None:
    old, own = run_of("gfs", [0, 1, 2]), run_of("own", [0, 1, 2])
    old.ClearField("attribution")
    own.attribution.CopyFrom(Attribution(text="Uploaded by the user"))
    put(berlin, old, own)
    issue(runtime, now=now)
    rows = call("/v1/sources?place=berlin").json["sources"]
    uploaded = {"text": "Uploaded by the user", "url": None, "licence": None}
    assert [row["attribution"] for row in rows] == [None, uploaded]
    assert call("/v1/series?place=berlin").json["attribution"] == [uploaded]


@pytest.mark.usefixtures("served")
def test_series_that_are_not_there(call: Call) -> None:
    got = call("/v1/series?place=berlin&variable=wind")
    assert (got.status, got.json["detail"]) == (
        404,
        "no series 'wind' of berlin; there are: temperature_2m/0",
    )
    assert call("/v1/series?place=rome").status == 503
    assert call("/v1/series?place=../x").status == 404


@pytest.mark.usefixtures("served")
def test_sources_tell_their_ages(call: Call) -> None:
    got = call("/v1/sources?place=berlin").json
    assert [(row["model"], row["age_hours"]) for row in got["sources"]] == [
        ("gfs", 4.0),
        ("icon", 2.0),
    ]


def test_skill_is_what_training_wrote(call: Call, runtime: Runtime) -> None:
    assert call("/v1/skill").json == {"simulated": False}
    runtime.storage.write("skill.json", b'{"at": "2026-11-20T04:00:00Z"}')
    assert call("/v1/skill").json == {"simulated": False, "at": "2026-11-20T04:00:00Z"}


def test_a_service_is_ready_before_its_first_forecast(call: Call) -> None:
    assert call("/health").json == {"status": "ok", "simulated": False}
    assert call("/ready").json == {"status": "ready", "simulated": False}


@pytest.mark.usefixtures("served")
def test_metrics_count_requests_without_places_or_unknown_paths(call: Call) -> None:
    call("/v1/forecast?place=berlin")
    call("/v1/nothing/at-all")
    text = call("/metrics").body.decode()
    assert 'skyblend_requests_total{path="/v1/forecast",service="predict",status="200"}' in text
    assert 'path="unknown"' in text
    assert "at-all" not in text
    assert "berlin" not in text


def test_the_page_and_its_files(call: Call) -> None:
    page = call("/")
    assert (page.status, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
    assert page.headers["Cache-Control"] == "no-cache"
    style = call("/static/page.css")
    assert style.headers["Cache-Control"] == "no-cache"
    assert call("/static/page.css", HTTP_IF_NONE_MATCH=style.headers["ETag"]).status == 304


@pytest.mark.parametrize("file", ["../app.py", "..%2fapp.py", "%2e%2e/app.py", "/etc/passwd", "x"])
def test_no_file_outside_the_page_is_served(call: Call, file: str) -> None:
    assert call(f"/static/{file}").status == 404
