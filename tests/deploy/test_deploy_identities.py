"""Who may do what in deploy/gcp: each account has the rights that docs/deploy.md tells, and no
others."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from skyblend.runtime import names

Grant = tuple[str, str, str]
# What a resource is called in the table of docs/deploy.md.
ON = {
    "google_storage_bucket.data": "the bucket",
    "google_storage_bucket.builds": "the bucket of sources",
    "google_bigquery_dataset.this": "the data set",
    "google_pubsub_topic.event": "every topic",
    "google_pubsub_topic.dead_letters": "the topic of dead letters",
    "google_pubsub_subscription.event": "push subscriptions",
    "google_pubsub_subscription.dead_letters": "the dead letters",
    "google_cloud_run_v2_service.this": "services",
    "google_cloud_run_v2_job.train": "the job",
    "google_artifact_registry_repository.images": "the images",
    "google_secret_manager_secret.key": "secrets",
    "var.project": "the project",
    "var.kms_key": "the key",
}
# The argument that says what a role is given on, where it is not named like the resource.
WHERE = (
    "bucket",
    "dataset_id",
    "topic",
    "subscription",
    "name",
    "repository",
    "service_account_id",
    "secret_id",
    "crypto_key_id",
    "project",
)


def members(terraform: Any) -> list[Any]:
    return [one for one in terraform.resources if one.kind.endswith("_iam_member")]


def keys(terraform: Any, block: Any) -> list[str]:
    """What each.key is worth."""
    over = str(block.body.get("for_each", ""))
    if not over:
        return [""]
    if literal := re.search(r"toset\(\[([^]]+)\]\)", over):
        return re.findall(r'"([\w-]+)"', literal[1])
    name = re.findall(r"local\.(\w+)", over)
    value = terraform.locals[name[-1]] if name else None
    if isinstance(value, dict):
        return list(value)
    return re.findall(r'"([\w-]+)"', str(value)) if 'toset(["' in str(value) else [""]


def who(terraform: Any, block: Any, key: str) -> str:
    """The account that a binding is for; people are operators."""
    member = str(block.body["member"])
    over = str(block.body.get("for_each", ""))
    if "operators" in over:
        return "operators"
    if member == "${each.value.member}":
        table = terraform.locals[re.findall(r"local\.(\w+)", over)[0]]
        member = table[key]["member"]
    if member == "${local.members[each.key]}":
        return key
    (found,) = re.findall(r'local\.members\["([\w-]+)"\]', member)
    return str(found)


def role(terraform: Any, block: Any, key: str) -> str:
    given = str(block.body["role"])
    if given != "${each.value}":
        return given
    table = terraform.locals[re.findall(r"local\.(\w+)", block.body["for_each"])[0]]
    return str(table[key])


def on(terraform: Any, block: Any, key: str) -> str:
    """What a role is given on, as the table calls it."""
    if block.body.get("topic") == "${google_pubsub_topic.event[each.value.topic].name}":
        return f"topic {terraform.locals['publishers'][key]['topic']}"
    text = next(str(block.body[name]) for name in WHERE if name in block.body)
    if account := re.search(r'google_service_account\.this\[(?:"(\w+)"|each\.key)\]', text):
        return f"account {account[1]}" if account[1] else "run-as accounts"
    found = re.search(r"(google_\w+\.\w+|var\.\w+)", text)
    assert found, text
    return ON[found[1]]


def grants(terraform: Any) -> Iterator[Grant]:
    for block in members(terraform):
        for key in keys(terraform, block):
            yield who(terraform, block, key), role(terraform, block, key), on(terraform, block, key)


def table(root: Path) -> Iterator[Grant]:
    """The table of docs/deploy.md: | who | role | on | why |."""
    text = (root / "docs" / "deploy.md").read_text()
    rows = re.findall(r"^\| ([^|]+) \| `(roles/[\w.]+)` \| ([^|]+) \| ([^|]+) \|$", text, re.M)
    for account, granted, where, why in rows:
        assert len(why) > 10, (account, granted)
        yield account, granted, where


def test_the_table_of_the_guide_is_what_terraform_grants(terraform: Any, root: Path) -> None:
    told = [*table(root)]
    assert len(told) == len(set(told))
    assert set(grants(terraform)) == set(told)


def test_nothing_is_granted_but_by_single_members(terraform: Any) -> None:
    # A binding or a policy takes away what others were granted.
    kinds = {one.kind for one in terraform.resources if "_iam_" in one.kind}
    assert {kind.rpartition("_")[2] for kind in kinds} == {"member"}


def test_nobody_is_everybody_and_nobody_owns_or_edits_the_project(folder: Path) -> None:
    for path in folder.glob("*.tf"):
        text = path.read_text()
        for never in ("allUsers", "allAuthenticatedUsers", "roles/owner", "roles/editor"):
            assert never not in text, path.name


def test_no_service_lets_in_callers_without_identity(terraform: Any) -> None:
    service = terraform.get("google_cloud_run_v2_service.this").body
    assert str(service["invoker_iam_disabled"]).lower() == "false"


def test_each_account_of_ours_is_granted_something_and_has_a_line_in_the_guide(
    terraform: Any, root: Path
) -> None:
    ours = set(terraform.locals["accounts"])
    assert ours <= {account for account, _, _ in grants(terraform)}
    assert ours <= {account for account, _, _ in table(root)}


@pytest.mark.parametrize("account", ["preprocess", "serve", "train"])
def test_only_ingest_writes_raw(account: str, terraform: Any) -> None:
    for prefix in terraform.locals["writes"][account]:
        assert not prefix.startswith("raw")
        assert not "raw/".startswith(prefix)


def test_whatever_the_code_names_in_the_bucket_somebody_may_write(terraform: Any) -> None:
    written = {prefix for prefixes in terraform.locals["writes"].values() for prefix in prefixes}
    named = {
        value
        for name, value in vars(names).items()
        if name.isupper() and isinstance(value, str) and ("/" in value or "." in value)
    }
    assert {"places.json", "raw/", "records/forecasts/"} <= named
    for name in named:
        assert any(name.startswith(prefix) for prefix in written), name


def test_writing_is_bound_to_the_names_of_each_account(terraform: Any) -> None:
    writes = terraform.get("google_storage_bucket_iam_member.writes")
    condition = writes.one("condition")["expression"]
    assert "resource.name.startsWith('${local.objects}${name}')" in condition
    assert terraform.locals["objects"] == "projects/_/buckets/${local.bucket}/objects/"
    for account, prefixes in terraform.locals["writes"].items():
        # An IAM condition holds at most 12 logical operators.
        assert 1 <= len(prefixes) <= 12, account
        assert len(set(prefixes)) == len(prefixes)


def test_push_and_scheduler_may_call_and_nothing_else(terraform: Any) -> None:
    for account in ("push", "scheduler"):
        found = {granted for holder, granted, _ in grants(terraform) if holder == account}
        assert found == {"roles/run.invoker"}


def test_strangers_code_may_only_write_its_log(terraform: Any) -> None:
    found = {granted for holder, granted, _ in grants(terraform) if holder == "checks"}
    assert found == {"roles/logging.logWriter"}
    trigger = terraform.get("google_cloudbuild_trigger.checks").body
    assert trigger["service_account"] == '${google_service_account.this["checks"].id}'


def test_secrets_are_read_by_ingest_alone(terraform: Any) -> None:
    holders = {
        holder for holder, granted, _ in grants(terraform) if granted.startswith("roles/secret")
    }
    assert holders == {"ingest"}
