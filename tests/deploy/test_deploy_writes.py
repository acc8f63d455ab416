"""Each service writes in the bucket only where deploy/gcp lets it: read off its sources."""

import ast
import inspect
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from skyblend.runtime import names

SOURCES = {
    "ingest": ["services/ingest/skyblend/ingest"],
    "preprocess": [
        "services/preprocess/skyblend/preprocess",
        "libs/runtime/skyblend/runtime/tables/bigquery",
    ],
    "serve": ["services/predict/skyblend/predict/serve"],
    "train": ["services/predict/skyblend/predict/train"],
}
# What is seen of each at least, so that a reader who sees nothing fails.
SEEN = {
    "ingest": {"upload_meta/", "state/", "processed/", "quarantine/"},
    "preprocess": {"processed/", "state/"},
    "serve": {"issued/", "ledger/"},
    "train": {"models/"},
}
ARGUMENTS: dict[str, Any] = {
    "str": "a",
    "date": date(2026, 1, 1),
    "datetime | None": datetime(2026, 1, 1, tzinfo=UTC),
    "int": 1,
}


def mutations(module: ast.Module) -> Iterator[tuple[ast.AST, ast.expr]]:
    """Every write, deletion or update of an object, with the function it stands in."""
    for function in ast.walk(module):
        if not isinstance(function, ast.FunctionDef):
            continue
        for call in ast.walk(function):
            if isinstance(call, ast.Call) and (named := named_by(call)) is not None:
                yield function, named


def named_by(call: ast.Call) -> ast.expr | None:
    """What says the name in storage.write(NAME, ...), or in update(storage, NAME, ...)."""
    match call.func:
        case ast.Attribute(attr="write" | "delete", value=owner) if is_storage(owner):
            return call.args[0]
        case ast.Name(id="create" | "update") if is_storage(call.args[0]):
            return call.args[1]
    return None


def is_storage(owner: ast.expr) -> bool:
    return ast.unparse(owner).rpartition(".")[2].strip("_") == "storage"


def resolved(named: ast.expr, function: ast.AST, module: ast.Module) -> Iterator[str]:
    """The names that an expression may give, as far as the module itself tells."""
    match named:
        case ast.Call(func=ast.Attribute(value=ast.Name(id="names"), attr=made)):
            yield example(getattr(names, made))
        case ast.Attribute(value=ast.Name(id="names"), attr=constant):
            yield getattr(names, constant)
        case ast.Call(func=ast.Name(id=local)):
            for other in ast.walk(module):
                if isinstance(other, ast.FunctionDef) and other.name == local:
                    yield from returned(other, module)
        case ast.Name(id=variable):
            for value in assigned(variable, function):
                yield from resolved(value, function, module)


def returned(function: ast.FunctionDef, module: ast.Module) -> Iterator[str]:
    for one in ast.walk(function):
        if isinstance(one, ast.Return) and one.value is not None:
            yield from resolved(one.value, function, module)


def assigned(variable: str, function: ast.AST) -> Iterator[ast.expr]:
    for one in ast.walk(function):
        targets = one.targets if isinstance(one, ast.Assign) else []
        if any(isinstance(target, ast.Name) and target.id == variable for target in targets):
            assert isinstance(one, ast.Assign)
            yield one.value


def example(made: Callable[..., str]) -> str:
    """A name that a function of skyblend.runtime.names makes."""
    kinds = [
        str(inspect.formatannotation(p.annotation))
        for p in inspect.signature(made).parameters.values()
    ]
    return made(*(ARGUMENTS[kind.replace("datetime.", "")] for kind in kinds))


def written(root: Path, service: str) -> set[str]:
    found = set()
    for folder in SOURCES[service]:
        for path in sorted((root / folder).rglob("*.py")):
            module = ast.parse(path.read_text())
            for function, named in mutations(module):
                found |= {*resolved(named, function, module)}
    return found


@pytest.mark.parametrize("service", SOURCES)
def test_a_service_writes_only_where_it_may(service: str, terraform: Any, root: Path) -> None:
    allowed = tuple(terraform.locals["writes"][service])
    found = written(root, service)
    assert [name for name in sorted(found) if not name.startswith(allowed)] == []
    assert all(any(name.startswith(prefix) for name in found) for prefix in SEEN[service])


def test_the_reader_of_sources_follows_a_variable_and_a_function() -> None:
    module = ast.parse(
        "def f(storage):\n    name = made()\n    storage.write(name, b'')\n"
        "def made():\n    return names.processed('raw/a')\n"
        "def g(runtime):\n    update(runtime.storage, names.PLACES, change)\n"
    )
    found = {
        name for function, named in mutations(module) for name in resolved(named, function, module)
    }
    assert found == {names.processed("a"), "places.json"}
