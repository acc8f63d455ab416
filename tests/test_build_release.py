"""How an image gets its traffic, and loses it again."""

import json
from pathlib import Path

import pytest
from releasing import IMAGE, TAGGED, TOKEN, URL, Release, release


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Release:
    """The run of a release in which nothing fails."""
    return release(tmp_path_factory.mktemp("release"))


def test_a_good_image_gets_all_traffic_after_it_answered_without_any(released: Release) -> None:
    assert released.code == 0, released.told
    assert [(call["arguments"][-1], call["traffic"]) for call in released.calls] == [
        (f"{TAGGED}/health", {"old": 100}),
        (f"{TAGGED}/ready", {"old": 100}),
        (f"{URL}/health", {"new": 100}),
        (f"{URL}/ready", {"new": 100}),
    ]
    assert (released.traffic, released.tags) == ({"latest": 100}, {})


def test_it_is_deployed_by_digest_without_traffic_and_without_strangers(released: Release) -> None:
    deployed = [command for command in released.commands if "deploy" in command]
    assert len(deployed) == 1
    assert {f"--image={IMAGE}", "--no-traffic", "--no-allow-unauthenticated"} <= set(deployed[0])


@pytest.mark.parametrize("path", ["/health", "/ready"])
def test_a_candidate_that_does_not_answer_gets_no_traffic(tmp_path: Path, path: str) -> None:
    done = release(tmp_path, FAILS=TAGGED + path)
    assert done.code == 1
    assert (done.traffic, done.tags) == ({"old": 100}, {})
    assert {json.dumps(call["traffic"]) for call in done.calls} == {'{"old": 100}'}


def test_a_service_that_fails_after_the_move_goes_back(tmp_path: Path) -> None:
    done = release(tmp_path, FAILS=f"{URL}/ready")
    assert done.code == 1
    assert done.calls[-1]["traffic"] == {"new": 100}
    assert (done.traffic, done.tags) == ({"old": 100}, {})
    assert "all traffic of skyblend-ingest goes to old" in done.told


def test_a_revision_that_never_starts_changes_nothing(tmp_path: Path) -> None:
    done = release(tmp_path, NEVER_READY="1")
    assert (done.code, done.calls) == (1, [])
    assert (done.traffic, done.tags) == ({"old": 100}, {})


def test_a_build_that_is_cancelled_after_the_move_goes_back(tmp_path: Path) -> None:
    done = release(tmp_path, CANCELLED=f"{URL}/health")
    assert (done.code, done.calls[-1]["traffic"]) == (1, {"new": 100})
    assert (done.traffic, done.tags) == ({"old": 100}, {})


def test_a_candidate_without_an_address_goes_back_once(tmp_path: Path) -> None:
    done = release(tmp_path, NOT_TOLD="1")
    assert (done.code, done.calls) == (1, [])
    assert (done.traffic, done.tags) == ({"old": 100}, {})
    assert len([command for command in done.commands if "update-traffic" in command]) == 1


def test_an_image_without_digest_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    done = release(tmp_path, image="registry.example/skyblend/ingest:latest")
    assert (done.code, done.commands) == (1, [])
    assert "expected an image by its digest" in done.told


def test_divided_traffic_is_left_to_people(tmp_path: Path) -> None:
    done = release(tmp_path, traffic={"old": 60, "older": 40})
    assert done.code == 1
    assert not [command for command in done.commands if "deploy" in command]
    assert done.traffic == {"old": 60, "older": 40}


def test_the_token_is_in_no_argument_and_no_log(released: Release) -> None:
    done = released
    assert {call["header"] for call in done.calls} == {f"Authorization: Bearer {TOKEN}"}
    assert TOKEN not in json.dumps([call["arguments"] for call in done.calls])
    assert TOKEN not in done.told
