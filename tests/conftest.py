"""Fixtures that every package's tests share, and how the tests run beside each other."""

from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
# Parts of names of tests: the arrangements of the running pipeline, and one long test.
_DIVIDED = ("[one process", "[three processes", "test_a_pipeline_that_is_killed")
_PROOFS: list[str] = []


def _shared(folder: str) -> Path:
    path = SHARED / folder
    if not path.is_dir():
        pytest.skip(f"the shared data folder is absent: ../shared/data/{folder}")
    return path


@pytest.fixture(scope="session")
def archives() -> Path:
    """The folder of real archives."""
    return _shared("archives")


@pytest.fixture(scope="session")
def payloads() -> Path:
    """The folder of recorded answers."""
    return _shared("payloads")


class ByFile(LoadScopeScheduling):
    """The tests of a file stay in one process, so what a fixture of the module made is made once;
    a long file is divided where its parts share nothing."""

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        return file + next((part for part in _DIVIDED if part in test), "")


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByFile:
    """How `make test` gives the tests to its processes."""
    return ByFile(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """What takes long begins first where the tests run in several processes."""
    if hasattr(config, "workerinput"):
        items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Keep what the proofs tell, whichever process tried them."""
    if report.when == "call":
        _PROOFS.extend(str(told) for name, told in report.user_properties if name == "proof")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _PROOFS:
        terminalreporter.section("proofs")
        terminalreporter.write_line("\n".join(_PROOFS))
