"""deploy/gcp as a whole: it parses, is formatted, and says only what the provider knows."""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

# Of Terraform itself, in every resource.
META = {"count", "depends_on", "for_each", "lifecycle", "provider"}
DELETING = {"Delete"}


def nested(body: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """The nested blocks of a body, also those that are dynamic, with what is known of them."""
    for name, value in body.items():
        if name == "dynamic":
            for block in value:
                for label, content in block.items():
                    yield label, content["content"][0], known.get(label)
        elif isinstance(known.get(name), Mapping) and isinstance(value, list):
            for one in value:
                yield name, one, known[name]


def mistakes(where: str, body: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[str]:
    """Arguments that the provider does not know, and those that it misses."""
    dynamic = {label for block in body.get("dynamic", []) for label in block}
    given = body.keys() - {"dynamic"} | dynamic
    for name in sorted(given - known.keys()):
        yield f"{where}: there is no {name}"
    required = {name for name, of in known.items() if is_required(of)}
    for name in sorted(required - given):
        yield f"{where}: {name} is missing"
    for name, inner, of in nested(body, known):
        if isinstance(of, Mapping):
            yield from mistakes(f"{where}.{name}", inner, {k: v for k, v in of.items() if k != ""})


def is_required(of: Any) -> bool:
    return of == "required" or (isinstance(of, Mapping) and of.get("") == "required")


@pytest.fixture(scope="module")
def arguments(folder: Path) -> Any:
    return json.loads((folder / "arguments.json").read_text())


def test_every_file_parses_and_holds_something(terraform: Any) -> None:
    assert len(terraform.files) >= 15
    for name, content in terraform.files.items():
        assert content, name


def test_no_two_resources_have_one_address(terraform: Any) -> None:
    addresses = [one.address for one in terraform.resources]
    assert len(addresses) == len(set(addresses))


def test_everything_that_is_referred_to_is_there(terraform: Any, folder: Path) -> None:
    text = "\n".join(path.read_text() for path in folder.glob("*.tf"))
    code = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    assert set(re.findall(r"\bvar\.(\w+)", code)) == set(terraform.variables)
    assert set(re.findall(r"\blocal\.(\w+)", code)) == set(terraform.locals)
    there = {one.address for one in terraform.resources}
    used = set(re.findall(r"(?<![\w.\"])(?<!data\.)((?:google|time|terraform)_\w+\.\w+)", code))
    assert used <= there


def test_every_argument_is_one_of_the_provider(terraform: Any, arguments: Any) -> None:
    found = [
        mistake
        for kind, blocks in (("resource", terraform.resources), ("data", terraform.data))
        for block in blocks
        if block.kind.startswith("google_")
        for mistake in mistakes(
            block.address,
            {name: value for name, value in block.body.items() if name not in META},
            arguments[kind][block.kind],
        )
    ]
    assert found == []


def test_the_names_of_arguments_are_those_of_the_version_that_is_asked_for(
    terraform: Any, arguments: Any
) -> None:
    asked = terraform.files["versions.tf"]["terraform"][0]["required_providers"][0]["google"]
    assert asked == {"source": "hashicorp/google", "version": f"~> {arguments['version']}"}


def test_terraform_finds_nothing_to_format(folder: Path) -> None:
    program = shutil.which("terraform")
    if program is None:
        pytest.skip("terraform is not installed")
    command = [program, "fmt", "-check", "-recursive", "-diff", str(folder)]
    # A configuration of the user's own must not matter, nor one that is missing.
    environ = {**os.environ, "TF_CLI_CONFIG_FILE": os.devnull}
    answer = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_every_api_that_is_used_is_enabled_first(terraform: Any) -> None:
    enabled = set(re.findall(r"([a-z]+)\.googleapis\.com", terraform.locals["apis"]))
    used = {
        "google_artifact": "artifactregistry",
        "google_bigquery": "bigquery",
        "google_billing": "billingbudgets",
        "google_cloud_run": "run",
        "google_cloud_scheduler": "cloudscheduler",
        "google_cloudbuild": "cloudbuild",
        "google_logging": "logging",
        "google_monitoring": "monitoring",
        "google_pubsub": "pubsub",
        "google_secret": "secretmanager",
        "google_service_account": "iam",
        "google_storage": "storage",
    }
    missing = [
        block.address
        for block in terraform.resources
        for prefix, api in used.items()
        if block.kind.startswith(prefix) and api not in enabled
    ]
    assert missing == []


def test_no_rule_deletes_a_live_object_or_anything_of_raw(terraform: Any) -> None:
    bucket = terraform.get("google_storage_bucket.data")
    rules = [
        (rule["action"][0], rule["condition"][0])
        for rule in bucket.body["lifecycle_rule"]
        if rule["action"][0]["type"] in DELETING
    ]
    assert len(rules) == 2
    for _, condition in rules:
        assert condition["with_state"] == "ARCHIVED"
        assert condition["days_since_noncurrent_time"] >= 1
    days = {rule["matches_prefix"]: rule["days_since_noncurrent_time"] for _, rule in rules}
    assert days == {"${local.rebuilt}": 3, "${local.rewritten}": 1}
    kept = ("raw/", "ledger/", "models/", "upload_meta/", "places.json")
    for prefix in terraform.locals["rebuilt"] + terraform.locals["rewritten"]:
        assert prefix.endswith("/")
        assert not any(name.startswith(prefix) or prefix.startswith(name) for name in kept)


def test_raw_moves_to_colder_classes_one_after_the_other(terraform: Any) -> None:
    rules = terraform.get("google_storage_bucket.data").body["lifecycle_rule"]
    moves = [
        (
            rule["condition"][0]["age"],
            rule["condition"][0]["matches_storage_class"],
            rule["action"][0]["storage_class"],
        )
        for rule in rules
        if rule["action"][0]["type"] == "SetStorageClass"
        and rule["condition"][0]["matches_prefix"] == ["raw/"]
    ]
    assert moves == [
        (30, ["STANDARD"], "NEARLINE"),
        (90, ["NEARLINE"], "COLDLINE"),
        (365, ["COLDLINE"], "ARCHIVE"),
    ]


def test_the_bucket_keeps_versions_and_is_never_public(terraform: Any) -> None:
    bucket = terraform.get("google_storage_bucket.data")
    assert str(bucket.one("versioning")["enabled"]).lower() == "true"
    assert str(bucket.body["uniform_bucket_level_access"]).lower() == "true"
    assert bucket.body["public_access_prevention"] == "enforced"
    assert str(bucket.body["force_destroy"]).lower() == "false"
    kept = bucket.one("soft_delete_policy")["retention_duration_seconds"]
    assert kept == "${var.soft_delete_days * 86400}"
    assert terraform.variables["soft_delete_days"]["default"] == 0


def test_tables_are_partitioned_by_day_and_never_read_whole(terraform: Any, folder: Path) -> None:
    table = terraform.get("google_bigquery_table.this")
    assert table.one("time_partitioning") == {"type": "DAY", "field": "${each.value}"}
    assert table.body["clustering"] == ["place_id", "source"]
    assert str(table.body["require_partition_filter"]).lower() == "true"
    assert table.body["deletion_protection"] == "${var.protect}"
    for name, day in terraform.locals["tables"].items():
        columns = json.loads((folder / "schemas" / f"{name}.json").read_text())
        assert {"place_id", "source", day} <= {column["name"] for column in columns}, name


def test_no_value_of_a_secret_is_in_the_files(terraform: Any) -> None:
    assert terraform.of("google_secret_manager_secret")
    assert terraform.of("google_secret_manager_secret_version") == []


def test_the_example_sets_only_what_is_a_variable(terraform: Any, folder: Path) -> None:
    text = (folder / "terraform.tfvars.example").read_text()
    named = set(re.findall(r"^(?:# )?(\w+) += ", text, re.MULTILINE))
    assert {"project", "email"} <= named <= set(terraform.variables)
    needed = {name for name, body in terraform.variables.items() if "default" not in body}
    assert needed == {"project", "email"}


def test_every_variable_is_explained(terraform: Any) -> None:
    for name, body in terraform.variables.items():
        assert body["description"].endswith("."), name
        assert "type" in body, name
