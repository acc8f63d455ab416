"""deploy/gcp as Python values."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import hcl2
import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "deploy" / "gcp"
# What an expression is worth in the tests where it names something outside of the files.
GIVEN = {
    "var.project": "my-project",
    "var.region": "europe-west1",
    "var.bucket": "",
    "var.dataset": "skyblend",
    "var.traces": "",
    "local.bucket": "my-project-skyblend",
    "data.google_project.this.number": "123456789",
}


@dataclass(frozen=True)
class Block:
    """One resource: its kind, its name and what stands in it."""

    kind: str
    name: str
    body: dict[str, Any]

    @property
    def address(self) -> str:
        return f"{self.kind}.{self.name}"

    def one(self, block: str) -> dict[str, Any]:
        """The only nested block of this name."""
        (found,) = self.body[block]
        assert isinstance(found, dict)
        return found


class Terraform:
    """All files of deploy/gcp, read once."""

    def __init__(self, folder: Path) -> None:
        options = hcl2.SerializationOptions(
            strip_string_quotes=True, with_comments=False, explicit_blocks=False
        )
        self.files: dict[str, dict[str, Any]] = {
            path.name: hcl2.loads(path.read_text(), serialization_options=options)
            for path in sorted(folder.glob("*.tf"))
        }

    @cached_property
    def resources(self) -> list[Block]:
        return [*self._blocks("resource")]

    @cached_property
    def data(self) -> list[Block]:
        return [*self._blocks("data")]

    @cached_property
    def locals(self) -> dict[str, Any]:
        return {
            name: value
            for content in self.files.values()
            for block in content.get("locals", [])
            for name, value in block.items()
        }

    @cached_property
    def variables(self) -> dict[str, dict[str, Any]]:
        return {
            name: body
            for content in self.files.values()
            for block in content.get("variable", [])
            for name, body in block.items()
        }

    def of(self, kind: str) -> list[Block]:
        return [one for one in self.resources if one.kind == kind]

    def get(self, address: str) -> Block:
        (found,) = [one for one in self.resources if one.address == address]
        return found

    def text(self, given: Any) -> str:
        """A text with the locals and variables in it replaced by what they are worth; what is not
        known here stays as it is written."""

        def replaced(match: re.Match[str]) -> str:
            name = match[1]
            if name in GIVEN:
                return GIVEN[name]
            value = self.locals.get(name.removeprefix("local."))
            return value if name.startswith("local.") and isinstance(value, str) else match[0]

        before, after = "", str(given)
        while before != after:
            before, after = after, re.sub(r"\$\{([\w.]+)\}", replaced, after)
        return after

    def _blocks(self, what: str) -> Iterator[Block]:
        for content in self.files.values():
            for block in content.get(what, []):
                for kind, named in block.items():
                    for name, body in named.items():
                        yield Block(kind, name, body)


@pytest.fixture(scope="session")
def terraform() -> Terraform:
    return Terraform(FOLDER)


@pytest.fixture(scope="session")
def folder() -> Path:
    return FOLDER


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT
