import json
from datetime import UTC, datetime

import pytest
from flask import Flask, request
from skyblend.preprocess.service import respond
from skyblend.protos.v1.events_pb2 import ModelPromoted, RawStored
from skyblend.runtime import names
from skyblend.runtime.bus import push

PATH = "/v1/events/raw-stored"
NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)


@pytest.fixture
def client(runtime):
    app = Flask(__name__)
    methods = ["GET", "POST"]
    app.add_url_rule("/<path:_>", view_func=lambda _: respond(request, runtime), methods=methods)
    return app.test_client()


@pytest.fixture
def headers(runtime):
    return {"Authorization": f"Bearer {runtime.token}", "Content-Type": "application/json"}


def pushed(event):
    return push.encode(event, trace="t", message_id="1", published_at=NOW)


def test_a_push_that_is_done_is_answered_with_204(client, headers, runtime, collected, open_meteo):
    answer, body = open_meteo
    raw = collected(answer(body([4.5]), [("munich", 48.13, 11.58)])).raw
    runtime.storage.delete(names.processed(raw))
    answered = client.post(PATH, data=pushed(RawStored(object=raw)), headers=headers)
    assert (answered.status_code, answered.data) == (204, b"")
    assert runtime.storage.generation(names.processed(raw))


def test_a_push_whose_content_is_all_quarantined_is_answered_with_204(
    client, headers, collected, open_meteo, runtime
):
    answer, _ = open_meteo
    raw = collected(answer(b"<html>", [("munich", 48.13, 11.58)])).raw
    answered = client.post(PATH, data=pushed(RawStored(object=raw)), headers=headers)
    assert answered.status_code == 204
    assert runtime.storage.generation(names.quarantine(raw))


def test_a_raw_object_that_is_absent_is_tried_again(client, headers):
    event = RawStored(object="raw/open_meteo/2026-11-20/x.pb")
    answered = client.post(PATH, data=pushed(event), headers=headers)
    assert answered.status_code == 503
    assert answered.content_type == "application/problem+json"


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"not json", "body"),
        (b"{}", "message"),
        (pushed(ModelPromoted(model_id="m")), "expected RawStored"),
        (pushed(RawStored(object="places.json")), "raw/"),
        (pushed(RawStored(object="raw/../places.json")), "raw/"),
    ],
)
def test_a_malformed_push_is_refused(client, headers, body, detail):
    answered = client.post(PATH, data=body, headers=headers)
    assert answered.status_code == 400
    assert detail in json.loads(answered.data)["detail"]


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Host": "evil.example"}, 421),
        ({"Content-Type": "text/plain"}, 415),
    ],
)
def test_a_push_passes_the_guards(client, headers, changed, status):
    event = pushed(RawStored(object="raw/x"))
    assert client.post(PATH, data=event, headers=headers | changed).status_code == status


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_what_tells_how_it_is(client, path):
    assert client.get(path).status_code == 200
    refused = client.get(path, headers={"Host": "evil.example"}).status_code == 421
    assert refused == (path == "/metrics")


def test_other_paths_are_not_found(client, headers):
    assert client.get(PATH).status_code == 404
    assert client.get("/v1/forecast").status_code == 404
    assert client.post("/health", headers=headers).status_code == 404


def test_a_body_that_is_refused_is_not_read(runtime):
    app = Flask(__name__)

    def answer(_):
        response = respond(request, runtime)
        return response if not request.get_data() else ("read", 500)

    app.add_url_rule("/<path:_>", view_func=answer, methods=["POST"])
    for path in (PATH, "/nowhere"):
        assert app.test_client().post(path, data=b"x" * 1000).status_code in (401, 404)


def test_a_request_without_a_host_is_refused(client):
    answered = client.get("/metrics", headers={"Host": ""})
    assert answered.status_code == 421
