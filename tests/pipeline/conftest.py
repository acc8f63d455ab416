"""A pipeline that runs, shared by the tests of a module."""

from collections.abc import Iterator

import pytest
from processes import ARRANGEMENTS, Pipeline, answers, until


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def pipeline(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """A pipeline on the simulator that has issued its first forecast, in both arrangements."""
    data = tmp_path_factory.mktemp("pipeline") / "data"
    with ARRANGEMENTS[request.param](data) as running:
        until(lambda: answers(running))
        yield running
