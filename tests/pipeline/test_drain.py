"""SIGTERM: a service answers what it has accepted, within the 10 s that Cloud Run gives, and ends
with 0."""

import pytest
from stopping import CHANGES, Load, drained, is_up, running


@pytest.mark.parametrize("image", ["ingest", "serve"])
def test_what_a_service_has_accepted_is_answered_when_it_is_told_to_stop(image, tmp_path):
    with running(image, tmp_path / "data") as service:
        load = Load(service.port, service.token, CHANGES[image])
        load.start(fresh=2, kept=2, slow=2, seconds=1.5)
        load.quiet.set()
        assert drained(service) == 0
        load.join()
        assert not load.told.failed, load.told
        assert load.told.counts["slow 201" if image == "ingest" else "slow 200"] == 2
        assert not is_up(service.port)
