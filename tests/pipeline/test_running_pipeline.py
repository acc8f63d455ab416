"""The running pipeline, seen from outside: one process behind one port, and three with one bus."""

import json
import stat
from pathlib import Path

import pytest
import requests
from processes import POSTS, Pipeline, skyblend, until

pytestmark = pytest.mark.slow

BERLIN = "/v1/forecast?latitude=52.52&longitude=13.41"
OBSERVATIONS = """\
place_id,latitude,longitude,elevation,observed_at,temperature_2m
Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,1.5
"""


def test_the_forecast_has_ordered_quantiles_and_says_that_it_is_simulated(
    pipeline: Pipeline,
) -> None:
    answer = pipeline.get(f"{BERLIN}&hourly=temperature_2m&quantiles=0.1,0.5,0.9").json()
    assert answer["simulated"] is True
    hourly = answer["hourly"]
    names = ("temperature_2m_p10", "temperature_2m_p50", "temperature_2m_p90")
    rows = [row for row in zip(*(hourly[name] for name in names), strict=True) if None not in row]
    assert len(rows) > 48
    assert all(low <= middle <= high for low, middle, high in rows)


def test_the_five_default_places_are_forecast(pipeline: Pipeline) -> None:
    places = {place["id"]: place for place in pipeline.get("/v1/places").json()["places"]}
    assert set(places) == {"Berlin", "London", "New-York", "Sydney", "Tokyo"}
    assert all(place["issued_at"] for place in places.values())


@pytest.mark.parametrize("pipeline", ["one process"], indirect=True, scope="module")
def test_a_model_is_trained_from_the_back_fill(pipeline: Pipeline) -> None:
    until(lambda: bool(pipeline.get("/v1/skill").json().get("series")))
    assert "temperature_2m/0" in pipeline.get("/v1/skill").json()["series"]


def test_the_page_comes_from_this_address_alone(pipeline: Pipeline) -> None:
    page = pipeline.get("/")
    assert page.status_code == 200
    assert "default-src" in page.headers["Content-Security-Policy"]


@pytest.mark.parametrize("path", ["/v1/places", "/v1/sources", "/v1/series", "/v1/skill", "/ready"])
def test_every_answer_says_that_it_is_simulated(pipeline: Pipeline, path: str) -> None:
    assert pipeline.get(path).json()["simulated"] is True


@pytest.mark.parametrize("path", ["/health", "/ready", "/metrics"])
def test_each_service_tells_how_it_is(pipeline: Pipeline, path: str) -> None:
    for address in set(pipeline.addresses.values()):
        assert requests.get(address + path, timeout=20).status_code == 200


@pytest.mark.parametrize("path", POSTS)
def test_what_changes_something_needs_the_token(pipeline: Pipeline, path: str) -> None:
    assert pipeline.post(path, Authorization="").status_code == 401
    assert pipeline.post(path, Authorization="Bearer wrong").status_code == 401


@pytest.mark.parametrize("path", [*POSTS, BERLIN, "/"])
def test_another_host_name_is_refused(pipeline: Pipeline, path: str) -> None:
    call = pipeline.post if path in POSTS else pipeline.get
    assert call(path, Host="evil.example").status_code == 421


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("form", ["text/plain", "application/x-www-form-urlencoded"])
def test_a_form_of_another_site_is_refused(pipeline: Pipeline, path: str, form: str) -> None:
    assert pipeline.post(path, **{"Content-Type": form}).status_code == 415


def test_only_the_owner_reads_the_token(pipeline: Pipeline) -> None:
    assert stat.S_IMODE((pipeline.data / "token").stat().st_mode) == 0o600


def test_a_second_pipeline_on_the_folder_is_refused_with_the_reason(pipeline: Pipeline) -> None:
    for command in ("up", "services"):
        second = skyblend(pipeline.data, command, "--simulate")
        assert second.returncode == 1
        assert f"process {pipeline.process.pid} runs on" in second.stderr
        assert len(second.stderr.splitlines()) == 1
    assert pipeline.get("/health").status_code == 200


def test_an_upload_beside_it_is_drained_through_it(pipeline: Pipeline, tmp_path: Path) -> None:
    file = tmp_path / "observations.csv"
    file.write_text(OBSERVATIONS)
    for stored, versions, unchanged in (("yes", "1", "0"), ("already", "0", "1")):
        done = skyblend(pipeline.data, "upload", file)
        assert done.returncode == 0, done.stderr
        row = done.stdout.splitlines()[1].split()
        assert row == ["observations.csv", stored, "1", versions, unchanged, "0", "0"]


def test_an_upload_over_http_becomes_records(pipeline: Pipeline, tmp_path: Path) -> None:
    stored = requests.post(
        f"{pipeline.addresses['ingest']}/v1/uploads?name=more.csv&source=tidy",
        data=OBSERVATIONS.replace("1.5", "2.5").replace("Ulm", "Aalen"),
        headers={
            "Authorization": f"Bearer {(pipeline.data / 'token').read_text().strip()}",
            "Content-Type": "application/octet-stream",
        },
        timeout=20,
    )
    assert stored.status_code == 201
    until(lambda: "Aalen" in skyblend(pipeline.data, "places", "list").stdout)


def test_a_repeated_tick_asks_nobody_again(pipeline: Pipeline) -> None:
    tick = {"tick": "2026-01-01T00:00:00Z"}
    pipeline.post("/v1/collect", tick)
    again = pipeline.post("/v1/collect", tick).json()
    assert [one["answers"] for one in again["sources"]] == [0] * len(again["sources"])


def test_a_malformed_push_is_not_repeated(pipeline: Pipeline) -> None:
    for path in POSTS:
        if path.startswith("/v1/events/"):
            assert pipeline.post(path, {"message": {}}).status_code == 400


def test_the_running_file_tells_where_it_answers(pipeline: Pipeline) -> None:
    running = json.loads((pipeline.data / "running.json").read_text())
    assert running["pid"] == pipeline.process.pid
    assert running["address"] == pipeline.addresses["predict"]
    assert running["realm"] == "simulated"
    assert "running    http" in skyblend(pipeline.data, "status").stdout


def test_a_new_place_is_collected_and_forecast(pipeline: Pipeline) -> None:
    added = skyblend(
        pipeline.data, "places", "add", "Zugspitze",
        *("--lat", 47.42, "--lon", 10.99, "--elevation", 2962, "--collect"),
    )  # fmt: skip
    assert added.returncode == 0, added.stderr
    pipeline.post("/v1/collect", {})
    path = "/v1/forecast?latitude=47.42&longitude=10.99"
    until(lambda: pipeline.get(path).status_code == 200)
    assert pipeline.get(path).json()["elevation"] == 2962


def test_logs_are_in_files_and_not_in_what_a_person_reads(pipeline: Pipeline) -> None:
    told = (pipeline.data / "output.txt").read_text()
    assert '{"time"' not in told
    written = {file.name for file in (pipeline.data / "simulated" / "logs").iterdir()}
    services = {"ingest.jsonl", "preprocess.jsonl", "predict.jsonl"}
    if is_apart := len(set(pipeline.addresses.values())) > 1:
        assert str(pipeline.data / "simulated" / "logs") in told
    assert written == {"up.jsonl"} | (services if is_apart else set())
