"""A pipeline that runs, shared by the tests of a module."""

from collections.abc import Iterator

import pytest
from floods import FEW
from processes import ARRANGEMENTS, Pipeline, answers, until


@pytest.fixture(scope="module", params=ARRANGEMENTS)
def pipeline(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """A pipeline on the simulator that has issued its first forecast, in both arrangements; with
    little to collect and to learn from where it is three processes, which start slowly enough."""
    data = tmp_path_factory.mktemp("pipeline") / "data"
    with pytest.MonkeyPatch.context() as environ:
        for name, value in FEW.items() if request.param == "three processes" else ():
            environ.setenv(name, value)
        with ARRANGEMENTS[request.param](data) as running:
            until(lambda: answers(running))
            yield running
