"""How fast answers become records, beside the same job done plainly with pandas, and how memory
grows with the input.

`python -m bench.preprocess` prints a table and, as its last line, the figures as JSON.
"""

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from skyblend.preprocess.process import process
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.runtime import names
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings
from skyblend.weather.quality.limits import ORDERS, RANGES
from skyblend.weather.variables import BY_NAME

from bench import payloads
from bench.machine import machine

ANSWERS = 50
RUNS = 5
SMALL, LARGE = ANSWERS, 10 * ANSWERS  # answers of the two inputs whose memory is compared
_RAW = names.answers("open_meteo", "forecast", payloads.RECEIVED, "0" * 12)
_PERIODS = {
    0: [name for name in payloads.VARIABLES if BY_NAME[name].default_period == 0],
    3600: [name for name in payloads.VARIABLES if BY_NAME[name].default_period == 3600],
}


def prepared(folder: Path, answers: int) -> Runtime:
    """A data folder with one raw object."""
    runtime = runtime_for(Settings(data=folder))
    with tempfile.TemporaryFile() as stream:
        for piece in payloads.raw_object(answers):
            stream.write(piece)
        stream.seek(0)
        runtime.storage.write(_RAW, stream)
    return runtime


def ours(runtime: Runtime) -> None:
    """The real path: decoding, contract, checks, repeats, Parquet, newest runs of each place."""
    done = process(runtime, RawStored(object=_RAW), now=payloads.RECEIVED, force=True)
    assert done.quarantined == 0
    assert done.forecasts == ANSWERS * len(payloads.MODELS) * payloads.HOURS * 2


def plainly(bodies: list[bytes], target: Path) -> None:
    """The same table with pandas as one writes it: one frame per model and period, the ranges and
    orders of the quality checks, repeats dropped, one Parquet file."""
    import pandas as pd  # noqa: PLC0415 - not in the process whose memory is measured

    frames = []
    for number, body in enumerate(bodies):
        answer = json.loads(body)
        wide = pd.DataFrame(answer["hourly"])
        wide["valid_at"] = pd.to_datetime(wide["time"], utc=True)
        for model in payloads.MODELS:
            for period, names_of_it in _PERIODS.items():
                columns = {f"{name}_{model}": name for name in names_of_it}
                frame = wide[["valid_at", *columns]].rename(columns=columns)
                key = {"model": model, "place_id": f"place-{number}", "period": period}
                at = {"latitude": answer["latitude"], "longitude": answer["longitude"]}
                frames.append(frame.assign(**key, **at, elevation=answer["elevation"]))
    records = pd.concat(frames, ignore_index=True)
    records["issued_at"] = pd.Timestamp(payloads.RECEIVED).floor("h")
    records["known_at"] = records["received_at"] = pd.Timestamp(payloads.RECEIVED)
    records["source"], records["raw"] = "open_meteo", _RAW
    records = records.dropna(how="all", subset=list(payloads.VARIABLES)).drop_duplicates()
    records["flags"] = _flags(records, pd.Series("", index=records.index))
    records.to_parquet(target, compression="zstd", index=False)


def _flags(records: Any, flags: Any) -> Any:
    for limit in RANGES:
        if limit.variable in records:
            column = records[limit.variable]
            flags[(column < limit.low) | (column > limit.high)] += f"{limit.variable} range;"
    for order in ORDERS:
        if order.lower in records and order.upper in records:
            wrong = records[order.lower] - records[order.upper] > order.tolerance
            flags[wrong] += f"{order.lower} consistency;"
    return flags


def seconds(job: Callable[[], None]) -> tuple[float, float]:
    """Median CPU and wall seconds of several runs."""
    found = []
    for _ in range(RUNS):
        cpu, wall = time.process_time(), time.perf_counter()
        job()
        found.append((time.process_time() - cpu, time.perf_counter() - wall))
    cpus, walls = zip(*found, strict=True)
    return statistics.median(cpus), statistics.median(walls)


def peak(answers: int) -> float:
    """Peak memory in MB of a process of its own that does one raw object of so many
    answers."""
    with tempfile.TemporaryDirectory() as folder:
        prepared(Path(folder), answers)
        command = [sys.executable, "-m", "bench.preprocess", "--peak", folder]
        return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def own_peak() -> float:
    """Peak memory of this process in MB (`ru_maxrss` counts what the parent had before exec)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def print_peak(folder: Path) -> None:
    process(runtime_for(Settings(data=folder)), RawStored(object=_RAW), now=payloads.RECEIVED)
    print(own_peak())


def measure() -> dict[str, float]:
    """All figures."""
    values = ANSWERS * len(payloads.MODELS) * len(payloads.VARIABLES) * payloads.HOURS
    folder = Path(tempfile.mkdtemp())
    try:
        runtime = prepared(folder, ANSWERS)
        bodies = [body for _, body in payloads.answers(ANSWERS)]
        cpu, wall = seconds(lambda: ours(runtime))
        peer_cpu, peer_wall = seconds(lambda: plainly(bodies, folder / "plain.parquet"))
    finally:
        shutil.rmtree(folder)
    small, large = peak(SMALL), peak(LARGE)
    return {
        "values": values,
        "values_per_cpu_second": values / cpu,
        "values_per_wall_second": values / wall,
        "pandas_values_per_cpu_second": values / peer_cpu,
        "pandas_values_per_wall_second": values / peer_wall,
        "times_pandas": peer_cpu / cpu,
        "times_pandas_wall": peer_wall / wall,
        "peak_mb": small,
        "peak_mb_of_ten_times_the_input": large,
        "growth": large / small - 1,
    }


def main() -> None:
    found = measure()
    print(machine())
    print(f"{found['values']:.0f} values, {ANSWERS} answers, median of {RUNS} runs")
    print("                       CPU         wall")
    for name, prefix in (("Skyblend", ""), ("pandas", "pandas_")):
        cpu, wall = (found[f"{prefix}values_per_{clock}_second"] for clock in ("cpu", "wall"))
        told = "  (CPU at least 2,000,000)" if not prefix else ""
        print(f"  {name:8} {cpu:12,.0f} {wall:12,.0f} values/s{told}")
    ratios = f"{found['times_pandas']:12.1f} {found['times_pandas_wall']:12.1f}"
    print(f"  ratio    {ratios}           (CPU at least 4)")
    print(f"  peak of {SMALL} answers {found['peak_mb']:.0f} MB, of {LARGE} answers", end=" ")
    print(
        f"{found['peak_mb_of_ten_times_the_input']:.0f} MB: {found['growth']:+.1%} (at most +10 %)"
    )
    print(orjson.dumps({"preprocess": found}).decode())


if __name__ == "__main__":
    if sys.argv[1:2] == ["--peak"]:
        print_peak(Path(sys.argv[2]))
    else:
        main()
