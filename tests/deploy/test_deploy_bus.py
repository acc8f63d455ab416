"""Topics, subscriptions and the schedule in deploy/gcp: nothing is lost for want of one, and every
address is one that a service answers."""

import re
from typing import Any

import pytest
from skyblend.runtime.bus import MAX_ATTEMPTS, ROUTES

SERVES = {"RawStored": "preprocess", "CollectTask": "ingest"}  # all others: serve
LONGEST_ACK = 600  # seconds; Pub/Sub's own limit


def seconds(text: str) -> int:
    match = re.fullmatch(r"(\d+)s", text)
    assert match, text
    return int(match[1])


def subscriptions(terraform: Any, *, pushed: bool) -> list[Any]:
    every = terraform.of("google_pubsub_subscription")
    return [one for one in every if ("push_config" in one.body) == pushed]


def test_every_topic_has_a_subscription_also_that_of_the_dead_letters(terraform: Any) -> None:
    topics = terraform.of("google_pubsub_topic")
    assert {one.name for one in topics} == {"event", "dead_letters"}
    for topic in topics:
        (subscription,) = [
            one
            for one in terraform.of("google_pubsub_subscription")
            if re.match(rf"\$\{{google_pubsub_topic\.{topic.name}\b", one.body["topic"])
        ]
        assert subscription.body.get("for_each") == topic.body.get("for_each")
        assert subscription.body["name"] == topic.body["name"]


def test_each_event_of_the_bus_has_a_topic_that_is_pushed_to_its_route(terraform: Any) -> None:
    events = terraform.locals["events"]
    expected = {
        re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower(): {
            "service": SERVES.get(kind, "serve"),
            "path": path,
        }
        for kind, path in ROUTES.items()
    }
    ours = {name: event for name, event in events.items() if name != "upload-finalized"}
    expected.pop("upload-finalized", None)
    assert ours == expected
    assert events["upload-finalized"] == {
        "service": "ingest",
        "path": "/v1/events/upload-finalized",
    }
    for event in events.values():
        assert event["service"] in terraform.locals["services"]


def test_topics_are_named_as_the_bus_names_them(terraform: Any) -> None:
    assert terraform.text(terraform.locals["env"]["SKYBLEND_TOPIC_PREFIX"]) == "skyblend-"
    assert terraform.text(terraform.get("google_pubsub_topic.event").body["name"]) == (
        "skyblend-${each.key}"
    )
    name = terraform.get("google_pubsub_topic.dead_letters").body["name"]
    assert terraform.text(name) == "skyblend-dead-letters"


def test_every_push_shows_an_identity_and_is_repeated_and_given_up(terraform: Any) -> None:
    (push,) = subscriptions(terraform, pushed=True)
    token = push.one("push_config")["oidc_token"][0]
    assert token["service_account_email"] == '${google_service_account.this["push"].email}'
    assert token["audience"] == "${local.urls[each.value.service]}"
    assert push.one("push_config")["push_endpoint"] == (
        "${local.urls[each.value.service]}${each.value.path}"
    )
    retry = push.one("retry_policy")
    assert (seconds(retry["minimum_backoff"]), seconds(retry["maximum_backoff"])) == (10, 600)
    letters = push.one("dead_letter_policy")
    assert letters["dead_letter_topic"] == "${google_pubsub_topic.dead_letters.id}"
    assert letters["max_delivery_attempts"] == MAX_ATTEMPTS


def test_no_subscription_expires(terraform: Any) -> None:
    for one in terraform.of("google_pubsub_subscription"):
        assert one.one("expiration_policy") == {"ttl": ""}, one.address


def test_dead_letters_wait_a_week_or_longer_to_be_pulled(terraform: Any) -> None:
    (pull,) = subscriptions(terraform, pushed=False)
    assert seconds(pull.body["message_retention_duration"]) >= 7 * 86400
    assert "dead_letter_policy" not in pull.body


def test_pubsub_may_move_a_message_to_the_dead_letters(terraform: Any) -> None:
    publisher = terraform.get("google_pubsub_topic_iam_member.dead_letters").body
    assert publisher["role"] == "roles/pubsub.publisher"
    assert publisher["topic"] == "${google_pubsub_topic.dead_letters.name}"
    subscriber = terraform.get("google_pubsub_subscription_iam_member.dead_letters").body
    assert subscriber["role"] == "roles/pubsub.subscriber"
    assert subscriber["for_each"] == "${local.events}"
    assert {publisher["member"], subscriber["member"]} == {'${local.members["pubsub-agent"]}'}


def test_no_service_works_longer_than_its_message_is_reserved(terraform: Any) -> None:
    (push,) = subscriptions(terraform, pushed=True)
    assert push.body["ack_deadline_seconds"] == LONGEST_ACK
    for event in terraform.locals["events"].values():
        service = terraform.locals["services"][event["service"]]
        assert service["request_seconds"] < LONGEST_ACK, event


def test_a_message_is_kept_as_long_as_pubsub_may_try_it(terraform: Any) -> None:
    (push,) = subscriptions(terraform, pushed=True)
    assert seconds(push.body["message_retention_duration"]) >= 7 * 86400


def test_uploads_are_announced_by_the_bucket_to_their_topic(terraform: Any) -> None:
    notification = terraform.get("google_storage_notification.uploads").body
    assert notification["object_name_prefix"] == "uploads/"
    assert notification["event_types"] == ["OBJECT_FINALIZE"]
    assert notification["payload_format"] == "JSON_API_V1"
    assert notification["topic"] == '${google_pubsub_topic.event["upload-finalized"].id}'
    publisher = terraform.locals["publishers"]["storage-upload-finalized"]
    assert publisher == {
        "member": '${local.members["storage-agent"]}',
        "topic": "upload-finalized",
    }


def test_every_topic_has_somebody_who_may_publish_to_it(terraform: Any) -> None:
    topics = {one["topic"] for one in terraform.locals["publishers"].values()}
    assert topics == set(terraform.locals["events"])


def test_the_scheduler_waits_as_long_as_the_service_works_and_shows_who_it_is(
    terraform: Any,
) -> None:
    job = terraform.get("google_cloud_scheduler_job.tick")
    target = job.one("http_target")
    assert target["oidc_token"] == [
        {
            "service_account_email": '${google_service_account.this["scheduler"].email}',
            "audience": "${local.urls[each.value.service]}",
        }
    ]
    assert target["headers"] == {"Content-Type": "application/json"}
    assert job.one("retry_config")["retry_count"] >= 1
    for name, tick in terraform.locals["ticks"].items():
        service = terraform.locals["services"][tick["service"]]
        assert seconds(tick["deadline"]) == service["request_seconds"], name
        assert seconds(tick["deadline"]) <= 1800, name  # the scheduler's own limit


CRON = re.compile(r"\S+ \S+ \S+ \S+ \S+")


@pytest.mark.parametrize("tick", ["collect", "issue", "load"])
def test_a_tick_has_a_time_and_an_endpoint(tick: str, terraform: Any, root: Any) -> None:
    entry = terraform.locals["ticks"][tick]
    schedule = entry["schedule"]
    if schedule == "${var.collect_schedule}":
        schedule = terraform.variables["collect_schedule"]["default"]
    assert CRON.fullmatch(schedule)
    package = {"serve": "predict/skyblend/predict/serve"}.get(
        entry["service"], f"{entry['service']}/skyblend/{entry['service']}"
    )
    sources = [path.read_text() for path in (root / "services" / package).glob("*.py")]
    assert any(f'"{entry["path"]}"' in source for source in sources), entry["path"]


def test_the_training_is_started_through_the_api_of_cloud_run(terraform: Any) -> None:
    target = terraform.get("google_cloud_scheduler_job.train").one("http_target")
    assert target["uri"] == (
        "https://run.googleapis.com/v2/${google_cloud_run_v2_job.train.id}:run"
    )
    # An API of Google takes an access token; an identity token is for services of one's own.
    assert "oauth_token" in target
    assert "oidc_token" not in target
