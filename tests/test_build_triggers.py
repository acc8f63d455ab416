"""What a build watches and what an image installs: the packages that its service imports, no more
and no fewer, read off the sources."""

import re
from functools import cache
from pathlib import Path

import hcl2
import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = {
    space.parent.name: space.parent.relative_to(ROOT).as_posix()
    for pattern in ("protos", "libs/*", "services/*")
    for space in ROOT.glob(f"{pattern}/skyblend")
}
IMAGES_OF = {"ingest": ("ingest",), "preprocess": ("preprocess",), "predict": ("serve", "train")}
OURS = re.compile(r"^\s*(?:from|import) skyblend(?:\.| import )(\w+)", re.MULTILINE)
SERVICE_OF = {image: service for service, images in IMAGES_OF.items() for image in images}


def imported(package: str) -> set[str]:
    """The packages of ours that a package imports, wherever the import stands."""
    texts = (path.read_text("utf-8") for path in (ROOT / FOLDERS[package]).rglob("*.py"))
    return {name for text in texts for name in OURS.findall(text)}


@cache
def needed(service: str) -> set[str]:
    """A service and all that it imports, directly or through another package."""
    found, waiting = set(), {service}
    while waiting:
        package = waiting.pop()
        found.add(package)
        waiting |= imported(package) - found
    return found


@pytest.fixture(scope="module")
def watched() -> dict[str, set[str]]:
    """The files that the trigger of each service watches."""
    [values] = hcl2.loads((ROOT / "deploy" / "gcp" / "triggers.tf").read_text())["locals"]
    everywhere = set(re.findall(r'"([^"]+)"', " ".join(values["everywhere"])))
    return {
        service: everywhere | set(re.findall(r'"([^"]+)"', files))
        for service, files in values["builds"].items()
    }


@pytest.mark.parametrize("service", IMAGES_OF)
def test_a_trigger_watches_what_its_images_are_made_of(
    watched: dict[str, set[str]], service: str
) -> None:
    packages = {f"{FOLDERS[package]}/**" for package in needed(service)}
    locks = {f"requirements/{image}.*" for image in IMAGES_OF[service]}
    the_build = {f"cloudbuild/{service}.yaml", "cloudbuild/Dockerfile", "cloudbuild/*.sh"}
    rest = {".dockerignore", "requirements/build.txt"}
    assert watched[service] == packages | locks | the_build | rest


def test_every_service_has_a_trigger(watched: dict[str, set[str]]) -> None:
    assert watched.keys() == IMAGES_OF.keys()


@pytest.mark.parametrize("image", SERVICE_OF)
def test_an_image_installs_the_packages_that_it_imports(image: str) -> None:
    lines = (ROOT / "requirements" / f"{image}.in").read_text().splitlines()
    listed = {line.removeprefix("./").partition("[")[0] for line in lines}
    assert listed == {FOLDERS[package] for package in needed(SERVICE_OF[image])}


def test_the_reader_of_imports_sees_what_stands_within_functions() -> None:
    source = "def f():\n    from skyblend.runtime import logs\n    import skyblend.weather.sun\n"
    assert OURS.findall(source + "from skyblend import protos") == ["runtime", "weather", "protos"]
