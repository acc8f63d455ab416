"""What a collect task, its preprocessing, an issue and a request cost: CPU, memory, bytes and calls
to the bucket. The cost model (`skyblend cost`) states these as its defaults.

`python -m bench.cost_inputs` prints a table and, as its last line, the figures as JSON. Providers
are the simulator, in a process of its own; its work is not counted.
"""

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, cast

import orjson
from skyblend.ingest.collect import collect
from skyblend.predict.serve.issue import issue
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names, places
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.storage import Storage
from skyblend.runtime.tables.bigquery import schema, training
from skyblend.simulator.server import serve
from skyblend.sources.open_meteo import DAILY, HOURLY, MODELS, open_meteo

from bench.machine import machine
from bench.preprocess import own_peak
from bench.serve import prepare, throughput

PLACES = 100
CASES = {"one model": MODELS[:1], "six models": MODELS}
_CLASS = {"write": "a", "list": "a", "read": "b", "open": "b", "generation": "b"}


class Counting:
    """A bucket that counts what Cloud Storage would charge: class A and B, and bytes written below
    each folder."""

    def __init__(self, storage: Any) -> None:
        self._storage = storage
        self.operations: Counter[str] = Counter()
        self.written: Counter[str] = Counter()

    def __getattr__(self, name: str) -> Any:
        if name in _CLASS:
            self.operations[_CLASS[name]] += 1
        return getattr(self._storage, name)

    def write(self, name: str, content: Any, **condition: Any) -> int:
        generation = int(self._storage.write(name, content, **condition))
        self.operations["a"] += 1
        size = next(one.size for one in self._storage.list(name) if one.name == name)
        self.written[name.partition("/")[0]] += size
        return generation


def measured(runtime: Runtime, job: Callable[[Runtime], Any]) -> tuple[Any, dict[str, float]]:
    """What a job gives, its CPU seconds, and what it did to the bucket."""
    bucket = Counting(runtime.storage)
    before = time.process_time()
    found = job(replace(runtime, storage=cast(Storage, bucket)))
    spent = time.process_time() - before
    written = {f"{folder}_bytes": float(size) for folder, size in bucket.written.items()}
    return found, {"cpu_seconds": spent, **_operations(bucket), **written}


def _operations(bucket: Counting) -> dict[str, float]:
    return {f"class_{name}": float(count) for name, count in sorted(bucket.operations.items())}


@contextmanager
def simulator() -> Iterator[dict[str, str]]:
    """The settings of a simulator in another process."""
    command = [sys.executable, "-m", "bench.cost_inputs", "--simulator"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        yield json.loads(running.stdout.readline())
        running.terminate()


def simulate() -> None:
    """Serve until the parent goes."""
    running = serve(now=lambda: datetime.now(UTC))
    print(json.dumps(running.settings), flush=True)
    sys.stdin.read()
    running.stop()


def case(folder: Path, providers: dict[str, str], models: tuple[str, ...]) -> dict[str, Any]:
    """One collect task of PLACES places from its fetching to its forecasts."""
    settings = Settings.read(
        {
            **providers,
            "SKYBLEND_DATA": str(folder),
            "SKYBLEND_OPEN_METEO_MODELS": ",".join(models),
            "SKYBLEND_LOG_LEVEL": "WARNING",
        }
    )
    runtime = runtime_for(settings)
    some = [
        Place(id=f"place-{i:03}", latitude=40 + i / 10, longitude=10, elevation=100, collect=True)
        for i in range(PLACES)
    ]
    places.add(runtime.storage, some)
    forecasts = replace(open_meteo, schedules=open_meteo.schedules[:1])
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    asked = partial(collect, tick=now, sources={"open_meteo": forecasts})
    report, collected = measured(runtime, asked)
    _, quiet = measured(runtime, asked)
    decoded = [
        measured(runtime, partial(_process, name=name, now=now))[1] for name in report.objects
    ]
    issue(runtime, now=datetime.now(UTC), places=[some[0].id])
    issuing, issued = measured(runtime, partial(issue, now=datetime.now(UTC)))
    assert len(issuing.issued) == PLACES - 1
    runtime.bus.close()
    return {
        "raw_objects": len(report.objects),
        "values_per_place": len(models) * (len(HOURLY) * 240 + len(DAILY) * 10),
        "collect": collected,
        "quiet_tick": quiet,
        "preprocess": _sum(decoded) | {"peak_mb": own_peak()},
        "issue": issued,
        "bigquery": bigquery_bytes(runtime),
    }


def _process(runtime: Runtime, *, name: str, now: datetime) -> None:
    done = process(runtime, RawStored(object=name), now=now, force=True)
    assert done.forecasts
    assert not done.quarantined


def _sum(found: list[dict[str, float]]) -> dict[str, float]:
    total: Counter[str] = Counter()
    for one in found:
        total.update(one)
    return dict(total)


def bigquery_bytes(runtime: Runtime) -> dict[str, float]:
    """Rows of the records, and logical bytes of a row as BigQuery counts them: in the table, as
    copying to the table of training reads it, there, and as a training of temperature reads it.
    `training_share` is that of the rows which are of use to a training, whatever their hour."""
    import duckdb  # noqa: PLC0415 - heavy
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    listed = runtime.storage.list(names.FORECASTS)
    stored = pa.concat_tables(
        pq.read_table(pa.BufferReader(runtime.storage.read(one.name).data)) for one in listed
    )
    copy = training.copies(schema.kinds()[0])[1]
    taken = ", ".join(f"{copy.taken.get(name, name)} AS {name}" for name in copy.kind.schema.names)
    of_any_hour = copy.only.replace(copy.only.split(" AND ")[1], "TRUE")
    copied = duckdb.sql(f"SELECT {taken} FROM stored WHERE {of_any_hour}").to_arrow_table()
    unread = {"raw", *training.VARIABLES[1:]}
    read = [name for name in copied.column_names if name not in unread]
    source = [name for name in (*copy.kind.schema.names, "member") if name in stored.column_names]
    return {
        "rows": float(len(stored)),
        "row": logical_bytes(stored) / len(stored),
        "copied_row": logical_bytes(stored.select(source)) / len(stored),
        "training_share": len(copied) / len(stored),
        "training_row": logical_bytes(copied) / len(copied),
        "training_read": logical_bytes(copied.select(read)) / len(copied),
    }


def logical_bytes(table: Any) -> int:
    """8 for a number or a time, 2 and its length for a text, nothing for what is null; a flag is
    its three texts."""
    import pyarrow as pa  # noqa: PLC0415 - heavy
    import pyarrow.compute as pc  # noqa: PLC0415

    total = 0
    for name in table.column_names:
        column = table[name].combine_chunks().drop_null()
        if pa.types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        if pa.types.is_list(column.type):
            flags = pc.list_flatten(column)
            total += logical_bytes(pa.Table.from_struct_array(flags)) if len(flags) else 0
        elif pa.types.is_string(column.type):
            total += 2 * len(column) + (pc.sum(pc.binary_length(column)).as_py() or 0)
        else:
            total += 8 * len(column)
    return total


def measure() -> dict[str, Any]:
    """All figures; each case in a process of its own, whose memory is its own."""
    found: dict[str, Any] = {}
    with simulator() as providers:
        for name in CASES:
            command = [sys.executable, "-m", "bench.cost_inputs", "--case", name]
            done = subprocess.run(
                [*command, json.dumps(providers)], check=True, capture_output=True, text=True
            )
            found[name] = json.loads(done.stdout)
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        found["serve"] = {"cpu_seconds": 1 / throughput(Path(folder))}
    return found


def main() -> None:
    found = measure()
    print(machine())
    for name in CASES:
        one = found[name]
        print(f"{name}: {PLACES} places, {one['values_per_place']} values each")
        print(f"  {one['raw_objects']} raw objects")
        told = ", ".join(f"{key} {value:,.2f}" for key, value in one["bigquery"].items())
        print(f"  {'bigquery':10} {told}")
        for step in ("collect", "quiet_tick", "preprocess", "issue"):
            told = ", ".join(f"{key} {value:,.3f}" for key, value in one[step].items())
            print(f"  {step:10} {told}")
    print(f"a request: {found['serve']['cpu_seconds'] * 1e6:.0f} us of CPU")
    print(orjson.dumps({"cost_inputs": found}).decode())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--simulator"]:
        simulate()
    elif sys.argv[1:2] == ["--case"]:
        with tempfile.TemporaryDirectory() as folder:
            models, providers = CASES[sys.argv[2]], json.loads(sys.argv[3])
            case(Path(folder) / "cold", providers, models)  # imports what a warm instance has
            print(json.dumps(case(Path(folder) / "warm", providers, models)))
    else:
        main()
