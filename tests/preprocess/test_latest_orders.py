"""Parts of one run that come in several uploads: the newest of each series, in whatever order."""

import io
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from skyblend.ingest import uploads
from skyblend.preprocess.process import process
from skyblend.preprocess.rebuild import rebuild
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.variables_pb2 import Variable
from skyblend.runtime.latest.reader import read_one
from skyblend.runtime.place import Runtime

NOW = datetime(2026, 11, 20, 10, 20, tzinfo=UTC)
# Of one run: a temperature, the same corrected a minute later, and a dew point after that.
UPLOADS = (("temperature_2m", 1.5), ("temperature_2m", 2.5), ("dew_point_2m", 0.5))


def stored(runtime: Runtime) -> list[str]:
    """The three uploads in the bucket, received a minute apart."""
    found = []
    for minute, (variable, value) in enumerate(UPLOADS):
        text = (
            f"source,place_id,latitude,longitude,elevation,issued_at,valid_at,{variable}\n"
            f"s,oslo,59.9,10.7,10,2026-11-20T06:00Z,2026-11-20T12:00Z,{value}\n"
        )
        received = NOW + timedelta(minutes=minute)
        file = io.BytesIO(text.encode())
        found.append(uploads.store(runtime, file, file_name="a.csv", now=received).object)
    return found


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_of_one_run_each_series_is_the_one_received_last(runtime, order) -> None:
    raw = stored(runtime)
    done = [process(runtime, RawStored(object=raw[number]), now=NOW) for number in order]
    found = read_one(runtime.storage, "oslo")
    (run,) = found.runs
    values = {Variable.Name(part.variable).lower(): list(part.value) for part in run.series}
    assert values == {"temperature_2m": [2.5], "dew_point_2m": [0.5]}
    assert run.raw.partition("#")[0] == raw[2]
    assert done[order.index(1)].latest_places == ["oslo"]  # it gave a part, first or last
    rebuild(runtime, now=NOW + timedelta(hours=1))
    assert read_one(runtime.storage, "oslo") == found
