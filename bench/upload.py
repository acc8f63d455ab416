"""How long the twelve archives of 2,761 NWS bulletins take from files to servable records.

`python -m bench.upload` runs `skyblend upload` in a process of its own on a fresh data folder; it
prints a table and, as its last line, the figures as JSON. Needs ../shared/data.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench.machine import machine

ROOT = Path(__file__).resolve().parents[1]
ARCHIVES = ROOT.parent / "shared" / "data" / "archives" / "nws_scs" / "raw"
RUNS = 3


def uploaded(files: list[Path]) -> dict[str, float]:
    """Wall and CPU seconds and peak memory in MB of one upload of the files."""
    with tempfile.TemporaryDirectory() as folder:
        command = [Path(sys.executable).parent / "skyblend", "--data", folder, "upload", *files]
        before = time.perf_counter()
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(running.pid, 0)
        running.returncode = os.waitstatus_to_exitcode(status)
        assert running.returncode == 0
        return {
            "wall_s": time.perf_counter() - before,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_mb": usage.ru_maxrss / 1024,
        }


def measure() -> dict[str, float]:
    """The medians of several runs."""
    files = sorted(ARCHIVES.glob("scs_2021-*.tar.gz"))
    if not files:
        raise SystemExit(f"no archives in {ARCHIVES}")
    runs = [uploaded(files) for _ in range(RUNS)]
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def main() -> None:
    found = measure()
    print(machine())
    print(f"upload of twelve archives, 2,761 bulletins, median of {RUNS} runs")
    print(f"  wall {found['wall_s']:6.1f} s   (at most 30)")
    print(f"  CPU  {found['cpu_s']:6.1f} s")
    print(f"  peak {found['peak_mb']:6.0f} MB  (at most 400)")
    print(json.dumps({"upload": found}))


if __name__ == "__main__":
    main()
