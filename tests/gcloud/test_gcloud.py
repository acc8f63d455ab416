"""What Google's own parsers say of every Cloud Build file, and of every gcloud command in scripts,
builds and guides. Nothing is run: a wrong flag is refused before anybody logs in."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml
from releasing import URL, release
from shell_words import code_of, commands

pytestmark = pytest.mark.gcloud
ROOT = Path(__file__).resolve().parents[2]
BUILDS = sorted((ROOT / "cloudbuild").glob("*.yaml"))
GUIDES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("deploy/**/*.md")])
SCRIPTS = sorted([*ROOT.glob("cloudbuild/*.sh"), *ROOT.glob("deploy/**/*.sh")])
WRONG_BUILDS = {
    "a misspelt key of a step": ("entrypoint: bash", "entrypont: bash"),
    "an unknown key": ("timeout: 1800s", "timeouts: 1800s"),
    "a name that no substitution may have": ("_REGION: ", "_region: "),
    "an unknown option": ("logging: CLOUD_LOGGING_ONLY", "logging: SOMEWHERE"),
}
WRONG_COMMANDS = (
    "run deploy sample --imag=sample",
    "run deploy sample --image=sample --timeout=soon",
    "run services update-traffic sample --to-revisions=sample=100 --to-latest",
    "run service describe sample",
    "pubsub topics create",
)


class Verdict(NamedTuple):
    """What was asked about, and why it was refused, None where it was not."""

    what: str
    why: str | None


@pytest.fixture(scope="module")
def sdk() -> Path:
    """The folder of the Cloud SDK."""
    gcloud = shutil.which("gcloud")
    root = Path(gcloud).resolve().parents[1] if gcloud else Path("absent")
    if not (root / "lib" / "googlecloudsdk").is_dir():
        pytest.skip("Google's Cloud SDK is not installed")
    return root


@pytest.fixture(scope="module")
def verdicts(sdk: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Verdict]]:
    """All that is asked of the SDK's parsers, asked at once: they take a second to load."""
    folder = tmp_path_factory.mktemp("gcloud")
    builds = {"builds": BUILDS, "wrong builds": planted(folder)}
    words = {
        "written": written(),
        "given": [("a release", words) for words in given(folder)],
        "wrong": [("planted", command.split()) for command in WRONG_COMMANDS],
    }
    told = parsers(
        sdk,
        folder / "config",
        builds=[path for paths in builds.values() for path in paths],
        words=[one for pairs in words.values() for _, one in pairs],
    )
    of_builds, of_words = iter(told["builds"]), iter(told["commands"])
    return {
        **{kind: [Verdict(one.stem, next(of_builds)) for one in builds[kind]] for kind in builds},
        **{
            kind: [Verdict(f"{name}: {' '.join(one)}", next(of_words)) for name, one in words[kind]]
            for kind in words
        },
    }


def parsers(
    sdk: Path, config: Path, *, builds: list[Path], words: list[list[str]]
) -> dict[str, list[str | None]]:
    """What inside_sdk.py answers, in the SDK's own Python."""
    bundled = sdk / "platform" / "bundledpythonunix" / "bin" / "python3"
    python = bundled if bundled.exists() else sys.executable
    done = subprocess.run(
        [python, "-S", Path(__file__).with_name("inside_sdk.py")],
        input=json.dumps({"builds": [str(path) for path in builds], "commands": words}),
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(str(sdk / one) for one in ("lib", "lib/third_party")),
            "PYTHONDONTWRITEBYTECODE": "1",
            "CLOUDSDK_CONFIG": str(config),
            "CLOUDSDK_CORE_PROJECT": "sample-project",
            "CLOUDSDK_CORE_DISABLE_PROMPTS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answer: dict[str, list[str | None]] = json.loads(done.stdout)
    return answer


def planted(folder: Path) -> list[Path]:
    """A build for each mistake."""
    text = (ROOT / "cloudbuild" / "ingest.yaml").read_text("utf-8")
    made = [folder / f"{name}.yaml" for name in WRONG_BUILDS]
    for path, (right, wrong) in zip(made, WRONG_BUILDS.values(), strict=True):
        assert right in text
        path.write_text(text.replace(right, wrong), "utf-8")
    return made


def given(folder: Path) -> list[list[str]]:
    """The commands of a release that succeeds and of one that goes back."""
    good, bad = folder / "good", folder / "bad"
    good.mkdir()
    bad.mkdir()
    return release(good).commands + release(bad, FAILS=f"{URL}/ready").commands


def written() -> list[tuple[str, list[str]]]:
    """Where each gcloud command stands, and its words."""
    return [
        (name, words[1:])
        for name, text in shell_texts()
        for words in commands(text)
        if words[0] == "gcloud"
    ]


def shell_texts() -> Iterator[tuple[str, str]]:
    """Name and text of all that a shell is given."""
    for path in SCRIPTS:
        yield path.name, path.read_text("utf-8")
    for path in BUILDS:
        for step in yaml.safe_load(path.read_text("utf-8"))["steps"]:
            if "-euc" in step["args"]:
                yield f"{path.name}, {step['id']}", step["args"][-1].replace("$$", "$")
    for path in GUIDES:
        for block in code_of(path.read_text("utf-8")):
            yield path.relative_to(ROOT).as_posix(), block


def test_cloud_build_takes_every_build(verdicts: dict[str, list[Verdict]]) -> None:
    assert len(verdicts["builds"]) == len(BUILDS)
    assert [one for one in verdicts["builds"] if one.why] == []


def test_gcloud_takes_every_command_that_is_written_down(
    verdicts: dict[str, list[Verdict]],
) -> None:
    assert any("predict.yaml, release-train" in one.what for one in verdicts["written"])
    assert [one for one in verdicts["written"] if one.why] == []


def test_gcloud_takes_every_command_that_a_release_gives(
    verdicts: dict[str, list[Verdict]],
) -> None:
    assert any("--to-latest" in one.what for one in verdicts["given"])
    assert [one for one in verdicts["given"] if one.why] == []


def test_planted_mistakes_are_found(verdicts: dict[str, list[Verdict]]) -> None:
    wrong = verdicts["wrong builds"] + verdicts["wrong"]
    assert len(wrong) == len(WRONG_BUILDS) + len(WRONG_COMMANDS)
    assert [one.what for one in wrong if one.why is None] == []
