"""What deploy/gcp tells the services: every variable is a setting, and the settings are
accepted."""

import re
from typing import Any

import pytest
import yaml
from skyblend.runtime.settings import Settings, declared, variable
from skyblend.runtime.tables.bigquery.training import HOURS
from skyblend.sources.registry import SOURCES

SERVICES = ("ingest", "preprocess", "serve")
# Of the server in front of ours, not of us.
OTHERS = {"THREADS"}
# What Terraform works out at the end.
WORKED_OUT = {
    "SKYBLEND_CALLERS": "skyblend-push@my-project.iam.gserviceaccount.com,me@example.com",
    "SKYBLEND_AUDIENCE": "https://skyblend-serve-123456789.europe-west1.run.app",
    "SKYBLEND_CONTACT": "me@example.com",
    "SKYBLEND_QUERY_LIMIT": "21474836480",
}


def environment(terraform: Any, service: str) -> dict[str, str]:
    """The environment of a service or of the job, as far as the files say it."""
    if service == "train":
        block = terraform.get("google_cloud_run_v2_job.train").one("template")["template"][0]
        own: dict[str, Any] = terraform.locals["trained"]
    else:
        block = terraform.get("google_cloud_run_v2_service.this").one("template")
        own = terraform.locals["services"][service]["env"]
    merged = block["containers"][0]["dynamic"][0]["env"]["for_each"]
    inline = dict(re.findall(r'(SKYBLEND_\w+) = ("?[^,}]+"?)', merged))
    traced = dict(re.findall(r"(SKYBLEND_\w+) = (var\.\w+)", terraform.locals["traced"]))
    assert traced.keys() == {"SKYBLEND_TRACES"}
    found = {**terraform.locals["env"], **traced, **own, **inline}
    return {name: value(terraform, name, given) for name, given in found.items()}


def value(terraform: Any, name: str, given: Any) -> str:
    """One value: as it is written, as a variable's value, or as Terraform will work it out."""
    text = str(given).strip('"')
    if text.startswith("var."):
        text = f"${{{text}}}"
    known = str(terraform.text(text))
    return WORKED_OUT[name] if "(" in known or "local." in known else known


@pytest.mark.parametrize("service", [*SERVICES, "train"])
def test_every_variable_is_a_setting_of_ours(service: str, terraform: Any) -> None:
    known = {variable(one) for one in declared()} | OTHERS
    assert environment(terraform, service).keys() <= known


@pytest.mark.parametrize("service", [*SERVICES, "train"])
def test_the_settings_of_each_service_are_accepted(service: str, terraform: Any) -> None:
    given = environment(terraform, service)
    settings = Settings.read(given)
    assert (settings.storage, settings.bus, settings.tables) == ("gcs", "pubsub", "bigquery")
    assert settings.project == "my-project"
    assert settings.bucket == "my-project-skyblend"
    assert settings.location == "europe-west1"
    assert settings.topic_prefix == "skyblend-"
    assert settings.callers
    assert settings.audience


def test_a_training_reads_what_the_table_of_training_holds(terraform: Any) -> None:
    settings = Settings.read(environment(terraform, "train"))
    assert settings.train_hours == HOURS
    assert settings.train_days == 60


def test_forecasts_are_issued_by_the_clock(terraform: Any) -> None:
    assert Settings.read(environment(terraform, "serve")).issue_on == "clock"
    assert terraform.locals["ticks"]["issue"]["schedule"] == "10 * * * *"


def test_a_job_has_no_front_door_that_checks_for_it(terraform: Any) -> None:
    # iam believes what Cloud Run checked in front of a service; a job has no front.
    assert environment(terraform, "train")["SKYBLEND_AUTH"] == "oidc"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_believes_what_cloud_run_has_checked(service: str, terraform: Any) -> None:
    # Cloud Run takes the signature out of the tokens that it checks: oidc could verify none.
    assert environment(terraform, service)["SKYBLEND_AUTH"] == "iam"
    body = terraform.get("google_cloud_run_v2_service.this").body
    assert str(body["invoker_iam_disabled"]).lower() == "false"


def test_hosts_are_not_listed(terraform: Any) -> None:
    # A candidate without traffic is called by an address of its own before it is released.
    for service in SERVICES:
        assert "SKYBLEND_ALLOWED_HOSTS" not in environment(terraform, service)


def test_an_option_of_a_source_comes_from_a_secret_or_not_at_all(
    terraform: Any, folder: Any
) -> None:
    example = (folder / "terraform.tfvars.example").read_text()
    named = re.findall(r'= "(SKYBLEND_\w+)"', example)
    assert named
    pattern = re.search(
        r'regex\("([^"]+)"', terraform.variables["secrets"]["validation"][0]["condition"]
    )
    assert pattern
    prefixes = tuple(f"SKYBLEND_{source.upper()}_" for source in SOURCES)
    for name in named:
        assert name.startswith(prefixes)
        assert re.fullmatch(pattern[1], name)
        assert Settings.read({name: "abcdefgh"}).secrets() == {"abcdefgh"}, "masked in logs"


def test_only_ingest_is_given_secrets(terraform: Any) -> None:
    given = {name: one["secrets"] for name, one in terraform.locals["services"].items()}
    assert given == {"ingest": "${var.secrets}", "preprocess": {}, "serve": {}}


@pytest.mark.parametrize("service", SERVICES)
def test_a_server_has_a_thread_left_for_the_probe(service: str, terraform: Any) -> None:
    one = terraform.locals["services"][service]
    if "THREADS" in one["env"]:
        assert int(one["env"]["THREADS"]) > one["concurrency"]


def test_builds_deploy_the_services_that_are_there(terraform: Any, root: Any) -> None:
    names = {"skyblend-" + name for name in terraform.locals["services"]} | {
        terraform.get("google_cloud_run_v2_job.train").body["name"]
    }
    text = "".join(path.read_text() for path in (root / "cloudbuild").glob("*.yaml"))
    accounts = {f"skyblend-{name}" for name in terraform.locals["accounts"]}
    named = set(re.findall(r"\bskyblend-[a-z]+", text))
    assert names <= named <= names | accounts


def test_builds_push_to_the_repository_that_is_there(terraform: Any, root: Any) -> None:
    repository = terraform.get("google_artifact_registry_repository.images").body["repository_id"]
    for build in ("ingest", "preprocess", "predict"):
        content = yaml.safe_load((root / "cloudbuild" / f"{build}.yaml").read_text())
        pushed = [one for one in content["substitutions"].values() if "docker.pkg.dev" in one]
        assert pushed
        assert all(one.split("/")[2] == repository for one in pushed)
        region = content["substitutions"]["_REGION"]
        assert region == terraform.variables["region"]["default"]


def test_what_a_build_changes_is_not_changed_back(terraform: Any) -> None:
    service = terraform.get("google_cloud_run_v2_service.this").one("lifecycle")
    job = terraform.get("google_cloud_run_v2_job.train").one("lifecycle")
    ignored = {str(one).strip("${}") for one in service["ignore_changes"]}
    assert {"template[0].containers[0].image", "traffic"} <= ignored
    assert "template[0].template[0].containers[0].image" in {
        str(one).strip("${}") for one in job["ignore_changes"]
    }
