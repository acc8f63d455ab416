"""Who may import whom: the rules as tables, read off the sources, wherever an import stands."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FOLDERS = ("protos", "libs/*", "services/*", "simulator", "cli")

SERVICES = frozenset({"ingest", "preprocess", "predict"})
LIBRARIES = frozenset({"protos", "weather", "sources", "runtime"})
EVERYTHING = SERVICES | LIBRARIES | {"simulator", "cli"}
MAY_IMPORT = {
    "protos": frozenset(),
    "weather": frozenset(),
    "sources": frozenset({"weather", "protos"}),
    "runtime": frozenset({"protos"}),
    "ingest": frozenset({"sources", "runtime", "protos"}),
    "preprocess": frozenset({"sources", "runtime", "protos", "weather"}),
    "predict": frozenset({"weather", "runtime", "protos"}),
    "simulator": frozenset({"weather", "protos"}),
    "cli": EVERYTHING,
}
PREDICT_PARTS_APART = {
    "predict/serve/": ("skyblend.predict.train",),
    "predict/train/": ("skyblend.predict.serve",),
    "predict/blend/": ("skyblend.predict.train", "skyblend.predict.serve"),
}
ENTRY_MODULES = (
    "ingest/main.py",
    "ingest/service.py",
    "preprocess/main.py",
    "preprocess/service.py",
    "predict/serve/app.py",
    "predict/serve/main.py",
    "predict/serve/routes*.py",
    "cli/apps.py",
)
ONLY_IN = {
    "google.cloud": ("runtime/*",),
    "psycopg": ("runtime/*",),
    "duckdb": ("runtime/*",),
    "requests": ("runtime/*", "cli/*"),
    "sklearn": ("predict/train/*", "predict/blend/fit*.py"),
    "flask": ENTRY_MODULES,
    "functions_framework": ENTRY_MODULES,
}
ONLY_THESE = {"weather": frozenset({"numpy", "skyblend"})}


@dataclass(frozen=True, slots=True)
class Module:
    """A module: its path, and the path within the namespace, `weather/scores.py`."""

    path: Path
    name: str

    @property
    def package(self) -> str:
        return self.name.split("/", maxsplit=1)[0]


def modules(root: Path) -> Iterator[Module]:
    for folder in FOLDERS:
        for namespace in sorted(root.glob(f"{folder}/skyblend")):
            for path in sorted(namespace.rglob("*.py")):
                yield Module(path, path.relative_to(namespace).as_posix())


def imports(path: Path) -> Iterator[str]:
    """Every imported name, dotted; one that is relative begins with a dot."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call):
            yield from _imported_by_call(node)


def _imported_by_call(call: ast.Call) -> Iterator[str]:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name in {"import_module", "__import__"} and call.args:
        argument = call.args[0]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            yield argument.value


def lies_in(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


def problems(root: Path) -> list[str]:
    """Every breach of the rules, as `module: what`."""
    found = [
        f"{path.relative_to(root)}: the namespace has no __init__.py"
        for folder in FOLDERS
        for path in root.glob(f"{folder}/skyblend/__init__.py")
    ]
    for module in modules(root):
        for name in imports(module.path):
            found.extend(f"{module.name}: {problem}" for problem in _problems(module, name))
    return found


def _problems(module: Module, name: str) -> Iterator[str]:
    if name.startswith("."):
        yield f"relative import {name}"
        return
    top, _, rest = name.partition(".")
    package = rest.split(".")[0]
    allowed = MAY_IMPORT.get(module.package, frozenset()) | {module.package}
    if top == "skyblend" and package in EVERYTHING and package not in allowed:
        yield f"{module.package} may not import {name}"
    for part, forbidden in PREDICT_PARTS_APART.items():
        if module.name.startswith(part) and any(lies_in(name, other) for other in forbidden):
            yield f"{part} may not import {name}"
    for library, places in ONLY_IN.items():
        if lies_in(name, library) and not any(fnmatch(module.name, place) for place in places):
            yield f"{library} may be imported only in {', '.join(places)}"
    known = ONLY_THESE.get(module.package)
    if known and top not in known and top not in sys.stdlib_module_names:
        yield f"{module.package} may import only {', '.join(sorted(known))}, not {name}"


def test_the_imports_follow_the_rules():
    assert problems(ROOT) == []


def test_every_package_has_a_rule():
    assert {module.package for module in modules(ROOT)} <= set(MAY_IMPORT)


def planted(root: Path, name: str, source: str) -> list[str]:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(source, "utf-8")
    return problems(root)


INGEST = "services/ingest/skyblend/ingest/"
PREPROCESS = "services/preprocess/skyblend/preprocess/"
PREDICT = "services/predict/skyblend/predict/"
WEATHER = "libs/weather/skyblend/weather/"
RUNTIME = "libs/runtime/skyblend/runtime/"
SOURCES = "libs/sources/skyblend/sources/"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (f"{INGEST}due.py", "from skyblend.preprocess.process import process"),
        (f"{INGEST}due.py", "from skyblend import predict"),
        (f"{INGEST}due.py", "import skyblend.weather.units"),
        (f"{PREDICT}serve/issue.py", "from skyblend.sources.registry import SOURCES"),
        (f"{PREDICT}serve/issue.py", "from skyblend.predict.train import job"),
        (f"{PREDICT}serve/issue.py", "from skyblend.predict import train"),
        (f"{PREDICT}train/job.py", "def f():\n    from skyblend.predict.serve.issue import issue"),
        (f"{PREDICT}blend/model.py", "import skyblend.predict.train.job"),
        (f"{PREDICT}blend/model.py", "from sklearn.linear_model import Ridge"),
        (f"{PREDICT}serve/app.py", "import sklearn"),
        (f"{PREDICT}train/job.py", "import duckdb"),
        (f"{PREDICT}blend/model.py", "from flask import Flask"),
        (f"{PREPROCESS}process.py", "import functions_framework"),
        (f"{PREPROCESS}process.py", "from google.cloud import storage"),
        (f"{PREPROCESS}process.py", "from google import cloud"),
        (f"{PREPROCESS}process.py", "import importlib\nimportlib.import_module('duckdb')"),
        (f"{PREPROCESS}process.py", "from psycopg import connect\n"),
        (f"{PREPROCESS}process.py", "__import__('psycopg.rows')"),
        (f"{INGEST}collect.py", "import requests"),
        (f"{SOURCES}open_meteo.py", "from requests import get"),
        (f"{SOURCES}open_meteo.py", "from skyblend.runtime import http"),
        (f"{RUNTIME}guards.py", "from flask import request"),
        (f"{RUNTIME}place.py", "from skyblend.weather.units import convert"),
        (f"{WEATHER}scores.py", "from skyblend.protos.v1 import variables_pb2"),
        (f"{WEATHER}scores.py", "from scipy.special import erf"),
        (f"{WEATHER}scores.py", "from . import normal"),
        (f"{WEATHER}scores.py", "from .normal import cdf"),
        ("simulator/skyblend/simulator/server.py", "import skyblend.sources.open_meteo"),
        ("protos/skyblend/protos/place_ids.py", "import skyblend.weather"),
        ("cli/skyblend/__init__.py", ""),
    ],
)  # fmt: skip
def test_a_planted_violation_is_found(tmp_path, name, source):
    assert len(planted(tmp_path, name, source)) == 1


@pytest.mark.parametrize(
    ("name", "source"),
    [
        (f"{INGEST}main.py", "import functions_framework"),
        (f"{PREDICT}serve/routes_page.py", "import flask"),
        (f"{PREDICT}blend/fit.py", "def f():\n    from sklearn.linear_model import Ridge"),
        (f"{PREDICT}train/gate.py", "import sklearn"),
        (f"{PREDICT}serve/issue.py", "from skyblend.predict.blend import predict"),
        (f"{PREPROCESS}process.py", "from google.protobuf import json_format"),
        (f"{RUNTIME}tables/duck.py", "def f():\n    import duckdb"),
        (f"{RUNTIME}http.py", "import requests"),
        (f"{WEATHER}scores.py", "import math\nimport numpy\nimport skyblend.weather.normal"),
        ("cli/skyblend/cli/main.py", "from skyblend.ingest import collect"),
    ],
)  # fmt: skip
def test_what_is_allowed_passes(tmp_path, name, source):
    assert planted(tmp_path, name, source) == []
