"""What is built and installed: locks, images, Cloud Build files; what no file may say."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
BUILDS = sorted((ROOT / "cloudbuild").glob("*.yaml"))
IMAGES = ("ingest", "preprocess", "serve", "train")
# Put together here, so that this file itself does not name one.
INDEXES = re.compile(
    "|".join(rf"\b{name}\.(?:org|com|io)\b" for name in ("py" + "pi", "python" + "hosted"))
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:home|root|work|Users)/\w+")


def committed() -> Iterator[tuple[str, str]]:
    """Name and text of each committed file."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if listed.returncode:
        pytest.skip("not a git checkout: no list of committed files")
    for name in listed.stdout.split("\0"):
        path = ROOT / name
        if name and path.is_file() and name != "tests/test_builds.py":
            yield name, path.read_text(errors="ignore")


def requirements(lock: Path) -> list[str]:
    """The requirements of a lock, continued lines joined, without comments."""
    text = re.sub(r"\\\n\s*", " ", lock.read_text())
    return [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]


def pins(lock: Path) -> dict[str, str]:
    found = (re.match(r"([A-Za-z0-9._-]+)==([^ ;]+)", line) for line in requirements(lock))
    return {match[1]: match[2] for match in found if match}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_each_requirement_is_pinned_and_hashed(lock: Path) -> None:
    lines = requirements(lock)
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9._-]+==\S+", line), line[:80]
        assert "--hash=sha256:" in line, line[:80]


def test_a_package_has_one_version_in_all_locks() -> None:
    seen: dict[str, set[str]] = {}
    for lock in LOCKS:
        for name, version in pins(lock).items():
            seen.setdefault(name, set()).add(version)
    assert {name: found for name, found in seen.items() if len(found) > 1} == {}


def test_images_install_only_what_they_need() -> None:
    installed = {name: pins(ROOT / "requirements" / f"{name}.txt").keys() for name in IMAGES}
    assert not installed["ingest"] & {"scikit-learn", "pyarrow", "duckdb"}
    assert not installed["preprocess"] & {"scikit-learn"}
    assert not installed["serve"] & {"scikit-learn", "pyarrow", "duckdb"}
    assert {"duckdb", "pyarrow"} <= installed["train"]


@pytest.mark.parametrize("image", IMAGES)
def test_each_image_has_its_own_environment_and_runs_without_root(image: str) -> None:
    text = (ROOT / "cloudbuild" / "Dockerfile").read_text()
    assert f"FROM builder AS {image}-environment\nRUN ./environment.sh {image}\n" in text
    final = text.split(f" AS {image}\n")[1].split("FROM ")[0]
    assert final.startswith(f"COPY --from={image}-environment /app /app\n")
    assert "USER 10001\n" in final


def test_the_dockerfile_follows_hadolint() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    told = subprocess.run(
        [hadolint, ROOT / "cloudbuild" / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stdout) == (0, "")


def test_cloud_build_files_follow_their_schema() -> None:
    check = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.cloudbuild"]
    told = subprocess.run([*check, *BUILDS], capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout


@pytest.mark.parametrize("build", BUILDS, ids=lambda path: path.stem)
def test_cloud_build_files_use_what_they_define(build: Path) -> None:
    content = yaml.safe_load(build.read_text())
    used = set(re.findall(r"(?<!\$)\$\{?(_[A-Z]+)", build.read_text()))
    assert used == set(content["substitutions"])


def arguments(step: dict[str, Any]) -> str:
    return " ".join(step["args"])


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_built_tried_pushed_and_released_by_its_digest(image: str) -> None:
    steps = [step for build in BUILDS for step in yaml.safe_load(build.read_text())["steps"]]
    tag = f"$_REGISTRY/{image}:$BUILD_ID"
    kind = "job" if image == "train" else "service"
    release = "gcloud run jobs update" if image == "train" else "cloudbuild/release.sh"
    of_image = [arguments(step) for step in steps if re.search(rf"\b{image}[.:]", arguments(step))]
    assert len(of_image) == 4
    build, tried, pushed, released = of_image
    assert build.startswith("build ")
    assert {f"--target={image}", f"--tag={tag}"} <= set(build.split())
    assert tried == f"cloudbuild/try.sh {tag} {kind}"
    assert pushed == f"cloudbuild/push.sh {tag} {image}.image"
    assert f"$(cat {image}.image)" in released
    assert release in released


def test_a_build_of_foreign_code_cannot_deploy() -> None:
    checks, *others = [yaml.safe_load(build.read_text())["substitutions"] for build in BUILDS]
    assert checks["_ACCOUNT"].startswith("skyblend-checks@")
    assert {one["_ACCOUNT"].partition("@")[0] for one in others} == {"skyblend-build"}


def test_no_committed_file_names_an_index_or_a_machine() -> None:
    found = [
        f"{name}: {match[0]}"
        for name, text in committed()
        for match in (INDEXES.search(text) or MACHINE_PATHS.search(text),)
        if match
    ]
    assert found == []


def test_uv_lock_and_data_are_not_committed() -> None:
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"uv.lock", "data/", ".venv/", ".env"} <= set(ignored)


def test_every_make_target_is_phony_and_explained() -> None:
    text = (ROOT / "Makefile").read_text()
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())  # type: ignore[index]
    explained = set(re.findall(r"^([a-z-]+):[^\n]*## ", text, re.MULTILINE))
    asked = {"help", "run", "run-services", "test", "check", "bench", "prove", "protos", "lock"}
    assert asked | {"images"} <= explained <= phony
