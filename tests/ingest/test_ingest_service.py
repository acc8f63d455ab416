import io
import json

import pytest
from flask import Flask, request
from skyblend.ingest.service import respond
from skyblend.runtime import names
from skyblend.runtime import places as known_places

PLACE = {"id": "berlin", "latitude": 52.5, "longitude": 13.4}


@pytest.fixture
def client(runtime):
    """The service on the runtime, as functions-framework would call it."""
    app = Flask("ingest")

    @app.route("/<path:path>", methods=["GET", "POST"])
    def answer(path):
        return respond(request, runtime)

    return app.test_client()


@pytest.fixture
def auth(runtime):
    return {"Authorization": f"Bearer {runtime.token}"}


def test_a_tick_answers_what_it_did(client, auth):
    answer = client.post("/v1/collect", json={"tick": "2026-11-20T10:00:00Z"}, headers=auth)
    assert answer.status_code == 200
    assert answer.json["tick"] == "2026-11-20T10:00:00Z"
    assert answer.json["sources"] == [
        {
            "source": "open_meteo",
            "objects": [],
            "answers": 0,
            "left": 0,
            "failures": [],
            "until": None,
        }
    ]


def test_a_tick_without_a_time_is_that_of_its_arrival_in_minutes(client, auth):
    tick = client.post("/v1/collect", json={}, headers=auth).json["tick"]
    assert tick.endswith(":00Z")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"tick": "yesterday"}, "tick: expected a time like"),
        ({"tick": "2026-11-20T10:00:00"}, "expected a time with its zone"),
        ({"tick": 5}, "tick: expected a time like"),
        ({"tick": "0001-01-01T00:00:00+14:00"}, "expected a time of our days"),
        ({"source": "sms"}, "source: expected one of open_meteo, nws_scs, tidy, got 'sms'"),
        ({"source": []}, "source: expected one of"),
        ([], "body: expected a JSON object, got list"),
    ],
)
def test_a_malformed_tick_is_refused_with_the_reason(client, auth, body, said):
    answer = client.post("/v1/collect", json=body, headers=auth)
    assert answer.status_code == 400
    assert answer.content_type == "application/problem+json"
    assert said in json.loads(answer.data)["detail"]


def test_an_upload_is_created_once(client, auth, runtime):
    def send():
        return client.post(
            "/v1/uploads?name=a.csv&source=tidy&collect=true",
            data=b"a,b\n",
            headers=auth,
            content_type="application/octet-stream",
        )

    first, second = send(), send()
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json | {"created": False} == second.json
    assert runtime.storage.read(first.json["object"]).data == b"a,b\n"
    assert b'"collect": true' in runtime.storage.read(names.upload_meta(first.json["object"])).data


@pytest.mark.parametrize("stated", [True, False])
def test_an_upload_beyond_the_limit_is_refused_whether_or_not_it_says_its_length(
    client, auth, runtime, stated
):
    answer = client.post(
        "/v1/uploads?name=a.csv",
        input_stream=io.BytesIO(b"x" * 1001),
        headers=auth | ({"Content-Length": "1001"} if stated else {}),
        content_type="application/octet-stream",
        environ_overrides={"wsgi.input_terminated": True},
    )
    assert answer.status_code == 413
    assert "at most 1000 bytes" in json.loads(answer.data)["detail"]
    assert list(runtime.storage.list("raw/")) == []


@pytest.mark.parametrize(
    ("query", "said"),
    [("", "file name"), ("name=a&source=sms", "source"), ("name=a&collect=maybe", "collect")],
)
def test_a_malformed_upload_is_refused(client, auth, query, said):
    answer = client.post(
        f"/v1/uploads?{query}", data=b"x", headers=auth, content_type="application/octet-stream"
    )
    assert answer.status_code == 400
    assert said in json.loads(answer.data)["detail"]


def test_places_are_added_and_changed(client, auth, runtime):
    assert client.post("/v1/places", json=PLACE, headers=auth).json["changed"] == ["berlin"]
    assert client.post("/v1/places", json=[PLACE], headers=auth).json["changed"] == []
    moved = PLACE | {"latitude": 52.0}
    assert client.post("/v1/places", json=[moved], headers=auth).json["changed"] == ["berlin"]
    assert known_places.read(runtime.storage)["berlin"].latitude == 52.0


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"id": "../x"}, "place id"),
        ({"id": "a/b"}, "place id"),
        ({"id": "x" * 300}, "64 characters"),
        (PLACE | {"latitude": 91}, "latitude expected from -90 to 90, got 91"),
        ({"id": "a", "latitude": 1}, "expected latitude and longitude"),
        ({"id": "a", "collect": True}, "without coordinates"),
        (
            {"id": "a", "x": 1},
            "place 0: unknown field 'x'; "
            "expected id, latitude, longitude, elevation, collect, name",
        ),
        ([PLACE, 5], "place 1: expected a JSON object, got int"),
    ],
)
def test_a_place_that_cannot_be_is_refused_and_none_is_added(client, auth, runtime, body, said):
    answer = client.post("/v1/places", json=body, headers=auth)
    assert answer.status_code == 400
    assert said in json.loads(answer.data)["detail"]
    assert known_places.read(runtime.storage) == {}


def test_places_above_the_quota_are_refused_with_the_numbers(client, auth):
    many = [PLACE | {"id": f"p{i}", "collect": True} for i in range(100)]
    answer = client.post("/v1/places", json=many, headers=auth)
    assert answer.status_code == 409
    assert "100 places count as" in json.loads(answer.data)["detail"]


@pytest.mark.parametrize("path", ["/v1/collect", "/v1/uploads", "/v1/places"])
@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": ""}, 401),
        ({"Host": "attacker.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_what_changes_something_is_guarded(client, auth, path, changed, status):
    kind = "application/octet-stream" if path == "/v1/uploads" else "application/json"
    headers = {"Content-Type": kind} | auth | changed
    answer = client.post(path, data=b"{}", headers=headers)
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"


def test_an_unknown_path_is_not_found(client):
    assert client.get("/v1/else").status_code == 404
    assert client.get("/v1/collect").status_code == 404


def test_health_is_told_to_those_who_ask_for_this_host(client):
    assert client.get("/health").status_code == 200
    assert client.get("/ready").json == {"simulated": False, "status": "ready"}
    assert b"skyblend_requests_total" in client.get("/metrics").data
    assert client.get("/metrics", headers={"Host": "attacker.example"}).status_code == 421


def test_what_is_left_of_a_refused_body_is_not_read_into_memory(runtime, auth):
    """functions-framework reads the rest of a request into memory after each answer."""
    app = Flask("ingest")
    left = []

    @app.route("/<path:path>", methods=["POST"])
    def answer(path):
        given = respond(request, runtime)
        left.append(request.get_data())
        return given

    app.test_client().post("/v1/uploads?name=a", data=b"x" * 100_000, headers=auth)
    assert left == [b""]


def test_a_place_keeps_what_a_request_does_not_give(client, auth, runtime):
    whole = {**PLACE, "name": "Berlin-Mitte", "elevation": 38, "collect": True}
    client.post("/v1/places", json=whole, headers=auth)
    assert client.post("/v1/places", json=PLACE, headers=auth).json["changed"] == []
    client.post("/v1/places", json={**PLACE, "collect": False}, headers=auth)
    (place,) = known_places.read(runtime.storage).values()
    assert (place.name, place.elevation, place.collect) == ("Berlin-Mitte", 38, False)
