"""Alerts and the dashboard in deploy/gcp look at what there is: lines that the code logs, and
metrics that Google has."""

import ast
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# Metrics of Google Cloud that are used here, each with the resource it belongs to and what its
# labels are (https://cloud.google.com/monitoring/api/metrics_gcp).
PUBSUB, RUN, JOB = "pubsub_subscription", "cloud_run_revision", "cloud_run_job"
KNOWN = {
    "pubsub.googleapis.com/subscription/num_undelivered_messages": (PUBSUB, set()),
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": (PUBSUB, set()),
    "pubsub.googleapis.com/subscription/push_request_count": (PUBSUB, {"response_class"}),
    "run.googleapis.com/request_count": (RUN, {"response_code_class"}),
    "run.googleapis.com/request_latencies": (RUN, set()),
    "run.googleapis.com/container/instance_count": (RUN, set()),
    "run.googleapis.com/container/memory/utilizations": (RUN, set()),
    "run.googleapis.com/job/completed_execution_count": (JOB, {"result"}),
    "storage.googleapis.com/storage/total_bytes": ("gcs_bucket", {"storage_class"}),
}
LABELS = {
    PUBSUB: {"subscription_id"},
    RUN: {"service_name"},
    JOB: {"job_name"},
    "gcs_bucket": {"bucket_name"},
    "cloud_scheduler_job": {"job_id"},
}
USER = "logging.googleapis.com/user/"
PACKAGES = {
    "skyblend-preprocess": "preprocess",
    "skyblend-serve": "predict",
    "skyblend-ingest": "ingest",
}
LEVELS = {"warning": "WARNING", "error": "ERROR", "exception": "ERROR", "info": "INFO"}


def our_metrics(terraform: Any) -> dict[str, str]:
    """Each metric made from logs, with the resource it belongs to."""
    made = {f"skyblend/{name}": RUN for name in terraform.locals["log_metrics"]}
    (ticks,) = [one for one in terraform.of("google_logging_metric") if one.name == "ticks"]
    return {**made, ticks.body["name"]: "cloud_scheduler_job"}


def filters(terraform: Any, folder: Path) -> Iterator[tuple[str, str]]:
    """Every filter on metrics, with where it stands."""
    text = (folder / "dashboard.json").read_text()
    for tile in json.loads(text)["mosaicLayout"]["tiles"]:
        for shown in tile["widget"]["xyChart"]["dataSets"]:
            found = shown["timeSeriesQuery"]["timeSeriesFilter"]
            groups = found["aggregation"].get("groupByFields", [])
            yield tile["widget"]["title"], " ".join([found["filter"], *groups])
    for name, one in terraform.locals["too_many"].items():
        yield name, terraform.text(one["filter"]).replace('\\"', '"')
    for policy in terraform.of("google_monitoring_alert_policy"):
        for condition in policy.body["conditions"]:
            for kind in ("condition_threshold", "condition_absent"):
                for inner in condition.get(kind, []):
                    if "metric.type" in inner["filter"]:
                        for name in terraform.locals["stale"]:
                            text = inner["filter"].replace("${each.key}", name)
                            yield policy.name, text.replace('\\"', '"')


def test_every_filter_names_a_metric_that_is_there(terraform: Any, folder: Path) -> None:
    ours = our_metrics(terraform)
    seen = set()
    for where, text in filters(terraform, folder):
        (metric,) = re.findall(r'metric\.type="([^"]+)"', text)
        (resource,) = re.findall(r'resource\.type="([^"]+)"', text)
        if metric.startswith(USER):
            assert ours[metric.removeprefix(USER)] == resource, where
            labels: set[str] = set()
        else:
            expected, labels = KNOWN[metric]
            assert resource == expected, where
        assert set(re.findall(r"metric\.labels?\.(\w+)", text)) <= labels, where
        assert set(re.findall(r"resource\.labels?\.(\w+)", text)) <= LABELS[resource], where
        seen.add(metric)
    assert {name.removeprefix(USER) for name in seen if name.startswith(USER)} == set(ours)


def test_the_dashboard_has_no_two_tiles_in_one_place(folder: Path) -> None:
    dashboard = json.loads((folder / "dashboard.json").read_text())
    taken: set[tuple[int, int]] = set()
    for tile in dashboard["mosaicLayout"]["tiles"]:
        cells = {
            (x, y)
            for x in range(tile["xPos"], tile["xPos"] + tile["width"])
            for y in range(tile["yPos"], tile["yPos"] + tile["height"])
        }
        assert not cells & taken, tile["widget"]["title"]
        assert tile["xPos"] + tile["width"] <= dashboard["mosaicLayout"]["columns"]
        taken |= cells


def calls(path: Path) -> Iterator[tuple[str, str, set[str]]]:
    """What a module logs: severity, message and the names of the fields."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        owner = node.func.value
        if not (isinstance(owner, ast.Name) and owner.id.strip("_") == "LOG"):
            continue
        first = node.args[0]
        message = first.value if isinstance(first, ast.Constant) else ""
        extra = next((one.value for one in node.keywords if one.arg == "extra"), None)
        fields = {
            key.value
            for inner in (ast.walk(extra) if extra else ())
            if isinstance(inner, ast.Dict)
            for key in inner.keys
            if isinstance(key, ast.Constant) and isinstance(key.value, str)
        }
        yield LEVELS[node.func.attr], str(message), fields


@pytest.mark.parametrize("metric", ["processed", "quarantined", "issued", "unanswered"])
def test_a_metric_counts_lines_that_the_code_writes(
    metric: str, terraform: Any, root: Path
) -> None:
    text = terraform.locals["log_metrics"][metric]["filter"].replace('\\"', '"')
    (logger,) = re.findall(r'jsonPayload\.logger="([\w.]+)"', text)
    (service,) = re.findall(r'service_name="([\w-]+)"', text)
    assert logger.split(".")[:2] == ["skyblend", PACKAGES[service]]
    path = root / "services" / PACKAGES[service] / (logger.replace(".", "/") + ".py")
    found = [
        (severity, message, fields)
        for severity, message, fields in calls(path)
        if all(
            re.search(pattern, message.replace("%d", "1").replace("%s", "x"))
            for pattern in re.findall(r'jsonPayload\.message=~"([^"]+)"', text)
        )
        and set(re.findall(r"jsonPayload\.(\w+)>", text)) <= fields
        and all(severity == asked for asked in re.findall(r"severity=(\w+)", text))
    ]
    assert found, f"{path} logs nothing that {metric} counts"


def test_the_logger_of_a_module_is_its_name() -> None:
    # The filters name loggers by module; `logging.getLogger(__name__)` makes them so.
    assert logging.getLogger("skyblend.preprocess.process").name == "skyblend.preprocess.process"


def test_there_is_an_alert_for_each_kind_of_trouble(terraform: Any) -> None:
    assert set(terraform.locals["stale"]) == {"processed", "issued"}
    assert {"quarantine", "dead-letters", "backlog", "server-errors", "job", "ticks"} == set(
        terraform.locals["too_many"]
    )
    letters = terraform.text(terraform.locals["too_many"]["dead-letters"]["filter"])
    name = terraform.text(terraform.get("google_pubsub_subscription.dead_letters").body["name"])
    assert f'subscription_id="{name}"' in letters.replace('\\"', '"')
    assert terraform.locals["too_many"]["dead-letters"]["limit"] == 0


def test_every_alert_is_told_to_somebody_and_says_where_to_look(terraform: Any, root: Path) -> None:
    guide = (root / "docs" / "deploy.md").read_text()
    for policy in terraform.of("google_monitoring_alert_policy"):
        assert policy.body["notification_channels"] == [
            "${google_monitoring_notification_channel.email.id}"
        ]
        text = policy.one("documentation")["content"].replace('\\"', '"')
        (heading,) = re.findall(r'docs/deploy\.md, "([^"]+)"', text)
        assert re.search(rf"^## .*{heading}", guide, re.MULTILINE)


def test_a_budget_warns_before_it_is_spent(terraform: Any) -> None:
    rules = terraform.get("google_billing_budget.this").body["threshold_rules"]
    spent = [float(one["threshold_percent"]) for one in rules if "spend_basis" not in one]
    assert spent == [0.5, 0.9, 1.0]
    assert any(one.get("spend_basis") == "FORECASTED_SPEND" for one in rules)
