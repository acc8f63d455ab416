"""Fixtures that every package's tests share."""

from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"


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
