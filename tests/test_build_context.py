"""What is sent to the builders: all that they need, and nothing that is large or private."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pathspec import GitIgnoreSpec

ROOT = Path(__file__).resolve().parents[1]
PRIVATE = (
    ".env",
    ".env.production",
    "cli/.env",
    ".git/config",
    ".venv/bin/python",
    "data/token",
    "data/live/bucket/raw/one",
    "deploy/gcp/.terraform/providers/registry.terraform.io/hashicorp/google/6.50.0/linux_amd64/x",
    "deploy/gcp/mine.auto.tfvars.json",
    "deploy/gcp/terraform.tfstate",
    "deploy/gcp/terraform.tfstate.1763726400.backup",
    "deploy/gcp/terraform.tfvars",
    "deploy/onprem/data/token",
    "libs/runtime/skyblend/runtime/__pycache__/place.cpython-311.pyc",
    "services/ingest/skyblend_ingest.egg-info/PKG-INFO",
)
NEEDED = (
    ".ci/run",
    ".dockerignore",
    ".env.example",
    "Makefile",
    "cloudbuild/Dockerfile",
    "cloudbuild/release.sh",
    "deploy/gcp/terraform.tfvars.example",
    "libs/runtime/skyblend/runtime/place.py",
    "protos/skyblend/protos/v1/records_pb2.py",
    "requirements/ingest.txt",
    "services/predict/skyblend/predict/serve/static/index.html",
    "tests/test_build_context.py",
)


@pytest.fixture(scope="module")
def ignored() -> GitIgnoreSpec:
    """.gcloudignore as gcloud reads it: a line #!include:FILE stands for the lines of the file."""
    lines: list[str] = []
    for line in (ROOT / ".gcloudignore").read_text().splitlines():
        included = line.removeprefix("#!include:")
        lines += (ROOT / included).read_text().splitlines() if included != line else [line]
    return GitIgnoreSpec.from_lines(lines)


@pytest.mark.parametrize("path", PRIVATE)
def test_what_is_private_or_made_is_not_uploaded(ignored: GitIgnoreSpec, path: str) -> None:
    assert ignored.match_file(path)


@pytest.mark.parametrize("path", NEEDED)
def test_what_a_build_needs_is_uploaded(ignored: GitIgnoreSpec, path: str) -> None:
    assert (ROOT / path).is_file()
    assert not ignored.match_file(path)


def uploaded(folder: Path, ignored: GitIgnoreSpec) -> Iterator[Path]:
    for path in folder.iterdir():
        name = path.relative_to(ROOT).as_posix() + ("/" if path.is_dir() else "")
        if ignored.match_file(name):
            continue
        if path.is_dir():
            yield from uploaded(path, ignored)
        else:
            yield path


def test_what_is_uploaded_is_small(ignored: GitIgnoreSpec) -> None:
    sizes = {path: path.stat().st_size for path in uploaded(ROOT, ignored)}
    largest = sorted(sizes, key=sizes.__getitem__, reverse=True)[:5]
    assert sum(sizes.values()) < 8 << 20, largest


def test_the_docker_builder_gets_what_it_copies_and_nothing_else() -> None:
    copied = re.findall(r"^COPY (?!--from)(\S+?)/? ", dockerfile(), re.MULTILINE)
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    let_in = {rule[1:] for rule in rules if rule.startswith("!")}
    assert let_in == {path for path in copied if path != "requirements/build.txt"}
    assert set(rules[1:]) - {f"!{path}" for path in let_in} == {"**/__pycache__", "**/*.egg-info"}


def dockerfile() -> str:
    return (ROOT / "cloudbuild" / "Dockerfile").read_text()
