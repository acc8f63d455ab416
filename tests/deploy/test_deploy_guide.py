"""docs/deploy.md names only what there is: commands and their options, settings, variables,
endpoints, files and headings."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from skyblend.cli.main import cli
from skyblend.runtime import names
from skyblend.runtime.settings import Settings


@pytest.fixture(scope="module")
def guide(root: Path) -> str:
    return (root / "docs" / "deploy.md").read_text()


def code(guide: str) -> Iterator[str]:
    """The lines to copy, and the commands that stand in a sentence."""
    yield from (line.strip() for line in guide.splitlines() if line.startswith("    "))
    prose = "\n".join(line for line in guide.splitlines() if not line.startswith("    "))
    yield from re.findall(r"`([^`\n]+)`", prose)


def ours(guide: str) -> list[list[str]]:
    """The words after `skyblend` of each of our own commands."""
    found = [
        shlex.split(line, comments=True) for line in code(guide) if line.startswith("skyblend ")
    ]
    return [words[1:] for words in found]


def test_every_command_of_ours_and_each_option_is_there(guide: str) -> None:
    commands = ours(guide)
    assert len(commands) >= 8
    for words in commands:
        command: click.Command = cli
        context = click.Context(cli)
        left = list(words)
        while isinstance(command, click.Group) and left:
            found = command.get_command(context, left.pop(0))
            assert found is not None, words
            command, context = found, click.Context(found, parent=context)
        # Raises for an option that is not there.
        command.make_parser(context).parse_args(left)


def test_the_settings_of_an_operator_are_accepted(guide: str) -> None:
    text = " ".join(line for line in code(guide) if line.startswith("export SKYBLEND_"))
    given = dict(re.findall(r"(SKYBLEND_\w+)=(\S+)", text))
    values = {name: value.replace("$PROJECT", "p") for name, value in given.items()}
    settings = Settings.read(values, serves=False)
    assert (settings.storage, settings.bus, settings.tables) == ("gcs", "pubsub", "bigquery")
    assert (settings.project, settings.bucket) == ("p", "p-skyblend")


def test_the_guide_sets_only_variables_that_are_there(guide: str, terraform: Any) -> None:
    files = re.findall(r"terraform\.tfvars <<END\n(.*?)\n    END", guide, re.DOTALL)
    set_there = {
        name for text in files for name in re.findall(r"^    (\w+) +=", text, re.MULTILINE)
    }
    on_the_line = set(re.findall(r"-var=(\w+)=", guide))
    assert {"project", "email", "secrets", "kms_key", "repository"} <= set_there
    assert set_there | on_the_line <= set(terraform.variables)
    addresses = {block.address for block in terraform.resources}
    assert set(re.findall(r"-target=([\w.]+)", guide)) <= addresses


def test_the_guide_names_only_what_terraform_makes(guide: str, terraform: Any) -> None:
    made = {f"skyblend-{name}" for name in terraform.locals["services"]}
    made |= {f"skyblend-{name}" for name in terraform.locals["accounts"]}
    made |= {f"skyblend-{name}" for name in terraform.locals["ticks"]}
    made |= {f"skyblend-{name}" for name in ("train", "dead-letters", "builds")}
    made |= set(re.findall(r"skyblend-[\w-]*KEY|skyblend-open-meteo-apikey", guide, re.IGNORECASE))
    named = set(re.findall(r"(?<![\w$-])skyblend-[a-z]+(?:-[a-z]+)*", guide))
    assert {name for name in named if not name.startswith("skyblend-serve-")} <= made
    # The bucket is named by the project.
    assert terraform.locals["bucket"].count("${var.project}-skyblend") == 1
    outputs = {name for one in terraform.files["outputs.tf"]["output"] for name in one}
    assert set(re.findall(r"terraform -chdir=\S+ output (\w+)", guide)) <= outputs


def test_every_folder_of_the_bucket_is_one_of_ours(guide: str) -> None:
    folders = re.findall(r"gs://\$PROJECT-skyblend/([\w./]+)", guide)
    known = [
        value for name, value in vars(names).items() if name.isupper() and isinstance(value, str)
    ]
    assert folders
    for folder in folders:
        assert any(value.startswith(folder.split("/")[0]) for value in [*known, "upload_meta"])


def test_every_endpoint_is_answered(guide: str, root: Path) -> None:
    sources = "".join(path.read_text() for path in (root / "services").rglob("*.py"))
    endpoints = set(re.findall(r"\$\(url \w+\)(/v1/\w+)", guide))
    assert {"/v1/places", "/v1/forecast", "/v1/uploads"} <= endpoints
    for endpoint in endpoints:
        assert f'"{endpoint}"' in sources, endpoint


def anchor(heading: str) -> str:
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_every_link_leads_somewhere(guide: str, root: Path) -> None:
    anchors = {anchor(heading) for heading in re.findall(r"^#+ (.+)$", guide, re.MULTILINE)}
    for target in re.findall(r"\]\(([^)]+)\)", guide):
        if target.startswith("#"):
            assert target[1:] in anchors, target
        elif not target.startswith("https://"):
            assert (root / "docs" / target).is_file(), target


def test_every_alert_has_a_line_that_says_where_to_look(guide: str, terraform: Any) -> None:
    rows = set(re.findall(r"^\| ([\w -]+?) \| [^|]+ \| [^|]+ \|$", guide, re.MULTILINE))
    alerts = {f"{name} stale" for name in terraform.locals["stale"]}
    assert alerts | set(terraform.locals["too_many"]) <= rows


def test_what_is_not_proven_is_said(guide: str, folder: Path) -> None:
    for text in (guide, (folder / "README.md").read_text()):
        assert re.search(r"(?:never|was ever) (?:been )?applied to a real project", text)
