"""docs/deploy.md copied into a shell, line by line, with stand-ins for every program: what is
written is what Terraform reads, and each program is given what it should be."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hcl2
import pytest

PROGRAMS = ("gcloud", "terraform", "curl", "skyblend", "make", "python", "bq")
KEY = "a key; with $signs and 'quotes'"
# Notes each call as one line of words; what comes by standard input goes to a file of its own.
STAND_IN = r"""#!/bin/bash
{ printf '%s' "${0##*/}"; printf '\t%s' "$@"; echo; } | tr '\n' ' ' >> "$CALLS"
echo >> "$CALLS"
case "$*" in
  *--data-file=-*) cat >> "$SECRETS" ;;
  *print-identity-token*) echo token ;;
  *"run services describe"*) echo "https://$4.example" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of the guide: calls as lists of words, secrets, and the variables' file."""

    calls: list[list[str]]
    secrets: str
    variables: dict[str, Any]

    def of(self, *words: str) -> list[list[str]]:
        return [call for call in self.calls if tuple(call[: len(words)]) == words]


def script(root: Path) -> str:
    guide = (root / "docs" / "deploy.md").read_text()
    lines = [line[4:] for line in guide.splitlines() if line.startswith("    ")]
    return "\n".join(["set -eu -o pipefail", *lines]) + "\n"


@pytest.fixture(scope="module")
def copied(root: Path, tmp_path_factory: pytest.TempPathFactory) -> Copied:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    folder = tmp_path_factory.mktemp("guide")
    (folder / "deploy" / "gcp").mkdir(parents=True)
    (folder / "bin").mkdir()
    for name in PROGRAMS:
        (folder / "bin" / name).write_text(STAND_IN)
        (folder / "bin" / name).chmod(0o755)
    answer = subprocess.run(
        [bash, "-c", script(root)],
        cwd=folder,
        env={
            "PATH": f"{folder / 'bin'}:/usr/bin:/bin",
            "HOME": str(folder),
            "CALLS": str(folder / "calls"),
            "SECRETS": str(folder / "secrets"),
        },
        input=f"{KEY}\n{KEY}\n",
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert answer.returncode == 0, answer.stderr
    calls = [line.strip().split("\t") for line in (folder / "calls").read_text().splitlines()]
    variables = hcl2.loads(
        (folder / "deploy" / "gcp" / "terraform.tfvars").read_text(),
        serialization_options=hcl2.SerializationOptions(
            strip_string_quotes=True, with_comments=False
        ),
    )
    return Copied(calls, (folder / "secrets").read_text(), variables)


def test_the_file_of_variables_is_what_terraform_reads(copied: Copied, terraform: Any) -> None:
    assert copied.variables.keys() <= terraform.variables.keys()
    assert copied.variables["project"] == "my-skyblend"
    assert copied.variables["operators"] == [copied.variables["email"]]
    assert copied.variables["kms_key"].startswith("projects/my-skyblend/locations/europe-west1/")
    (variable,) = copied.variables["secrets"].values()
    assert variable == "SKYBLEND_OPEN_METEO_APIKEY"


def test_a_key_reaches_secret_manager_and_no_argument(copied: Copied) -> None:
    assert copied.secrets == KEY * 2
    assert not any(KEY in word for call in copied.calls for word in call)


def test_no_name_is_left_open(copied: Copied) -> None:
    for call in copied.calls:
        for word in call:
            assert not re.search(r"\$\{?[A-Z]|//|=$|^-+$", word.replace("://", "")), call


def test_everything_is_asked_of_one_region_and_project(copied: Copied) -> None:
    for call in copied.calls:
        for word in call:
            if found := re.match(r"--(?:region|location)=(.*)", word):
                assert found[1] == "europe-west1", call


def test_the_callers_token_goes_with_every_request(copied: Copied) -> None:
    requests = copied.of("curl")
    assert len(requests) >= 3
    for call in requests:
        assert "Authorization: Bearer token" in call, call


def test_state_and_sources_lie_in_the_buckets_that_are_made(copied: Copied, terraform: Any) -> None:
    (made,) = copied.of("gcloud", "storage", "buckets", "create")
    (init,) = [call for call in copied.of("terraform") if "init" in call]
    assert f"-backend-config=bucket={made[4].removeprefix('gs://')}" in init
    sources = terraform.get("google_storage_bucket.builds").body["name"]
    for call in copied.of("gcloud", "builds", "submit"):
        bucket = sources.replace("${var.project}", "my-skyblend")
        assert f"--gcs-source-staging-dir=gs://{bucket}/source" in call


def test_all_images_are_built_before_the_first_place_is_added(copied: Copied, root: Path) -> None:
    builds = [
        i for i, call in enumerate(copied.calls) if call[:3] == ["gcloud", "builds", "submit"]
    ]
    places = [i for i, call in enumerate(copied.calls) if call[0] == "curl" and "POST" in call]
    assert len(builds) == 3
    assert max(builds) < min(places)
    for i in builds:
        (config,) = [word for word in copied.calls[i] if word.startswith("--config=")]
        assert (root / config.removeprefix("--config=")).is_file()


def test_what_is_copied_holds_no_comments(root: Path) -> None:
    # An interactive zsh takes them for arguments.
    assert not re.search(r"(?:^|\s)#\s", script(root))
