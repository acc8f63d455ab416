"""The environment of each image, made as cloudbuild/environment.sh makes it: what its lock says and
our packages that it names, into nothing; then what can be imported there."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hatchling.builders.wheel import WheelBuilder

ROOT = Path(__file__).resolve().parents[1]
UV = Path(sys.executable).with_name("uv")
ENTRIES = {
    "ingest": ("skyblend.ingest.main", "skyblend.runtime.draining"),
    "preprocess": ("skyblend.preprocess.main", "skyblend.runtime.draining"),
    "serve": ("skyblend.predict.main", "skyblend.predict.serve.app"),
    "train": ("skyblend.predict.train.__main__",),
}
# Of no image: what builds, tests or fits with a library that serving must never need.
NOWHERE = frozenset({"pip", "setuptools", "hatchling", "pytest", "sklearn", "pandas", "scipy"})
MUST_LACK = {
    "ingest": NOWHERE | {"duckdb", "pyarrow", "granian", "google.cloud.bigquery"},
    "preprocess": NOWHERE | {"granian"},
    "serve": NOWHERE | {"duckdb", "pyarrow", "functions_framework", "google.cloud.bigquery"},
    "train": NOWHERE | {"flask", "granian", "functions_framework"},
}
LOOK = """
import importlib, json, os, sys
from importlib.metadata import distributions
from importlib.util import find_spec

def is_there(name):
    parent = name.rpartition(".")[0]
    return (not parent or is_there(parent)) and find_spec(name) is not None

entries, lacking = json.loads(sys.argv[1])
for entry in entries:
    importlib.import_module(entry)
import skyblend
json.dump({
    "ours": sorted(name for folder in skyblend.__path__ for name in os.listdir(folder)),
    "installed": sorted(one.name.lower().replace("_", "-") for one in distributions()),
    "too much": sorted(filter(is_there, lacking)),
}, sys.stdout)
"""
NO_INDEX = re.compile(r"failed to fetch|error sending request|dns error|network was disabled", re.I)


def uv(*arguments: str | Path) -> None:
    told = subprocess.run([UV, "-q", *arguments], capture_output=True, text=True, check=False)
    if told.returncode and NO_INDEX.search(told.stderr):
        pytest.skip("the packages of the locks are neither cached nor reachable")
    assert told.returncode == 0, told.stderr


def packages(image: str) -> list[str]:
    """The folders of our packages that an image installs, as environment.sh reads them."""
    text = (ROOT / "requirements" / f"{image}.in").read_text()
    return re.findall(r"^\./([a-z/]*)", text, re.MULTILINE)


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Our packages by their folder, built once for all images."""
    made = tmp_path_factory.mktemp("wheels")
    folders = {folder for image in ENTRIES for folder in packages(image)}
    return {
        folder: Path(next(WheelBuilder(str(ROOT / folder)).build(directory=str(made))))
        for folder in sorted(folders)
    }


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one environment is made after the other, so that what they have in common is compiled
    once."""
    return tmp_path_factory.mktemp("images")


@pytest.fixture(scope="module", params=ENTRIES)
def environment(
    request: pytest.FixtureRequest, place: Path, wheels: dict[str, Path]
) -> tuple[str, Path, dict[str, Any]]:
    """An image, the folder of its environment, and what was found there."""
    image, folder = request.param, place / "environment"
    python = folder / "bin" / "python"
    uv("venv", "--python", sys.executable, "--clear", folder)
    lock = ROOT / "requirements" / f"{image}.txt"
    uv("pip", "install", "--python", python, "--require-hashes", "-r", lock)
    ours = [wheels[package] for package in packages(image)]
    uv("pip", "install", "--python", python, "--no-deps", "--offline", *ours)
    asked = json.dumps([ENTRIES[image], sorted(MUST_LACK[image])])
    compiled = f"pycache_prefix={place / 'compiled'}"
    told = subprocess.run(
        [python, "-I", "-X", compiled, "-c", LOOK, asked],
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr
    return image, folder, json.loads(told.stdout)


def test_the_entry_module_needs_nothing_else_and_finds_nothing_more(
    environment: tuple[str, Path, dict[str, Any]],
) -> None:
    image, _, found = environment
    assert found["too much"] == []
    assert found["ours"] == sorted(package.rpartition("/")[2] for package in packages(image))


def test_exactly_the_lock_is_installed(environment: tuple[str, Path, dict[str, Any]]) -> None:
    image, _, found = environment
    lock = (ROOT / "requirements" / f"{image}.txt").read_text()
    pinned = set(re.findall(r"^([A-Za-z0-9._-]+)==", lock, re.MULTILINE))
    elsewhere = set(re.findall(r"^([A-Za-z0-9._-]+)==\S+ ;", lock, re.MULTILINE))
    installed = {name for name in found["installed"] if not name.startswith("skyblend-")}
    assert installed <= pinned
    assert pinned - installed <= elsewhere


def test_the_page_and_the_messages_are_in_the_packages(
    environment: tuple[str, Path, dict[str, Any]],
) -> None:
    image, folder, _ = environment
    [ours] = folder.glob("lib/python*/site-packages/skyblend")
    assert (ours / "protos" / "v1" / "records_pb2.py").is_file()
    if image == "serve":
        assert (ours / "predict" / "serve" / "static" / "index.html").is_file()
