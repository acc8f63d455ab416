"""How good and how fast the blend is on two real archives, beside its peers.

`python -m bench.backtest` uploads them into fresh data folders, runs `skyblend backtest` on twelve
days of the eight-model UWME archive and `skyblend train` on the NWS bulletins of 2021, each in a
process of its own; it prints a table and, as its last line, the figures as JSON. Needs ../shared.
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
SHARED = ROOT.parent / "shared"
ARCHIVES, TOOLS = SHARED / "data" / "archives", SHARED / "tools"
SKYBLEND = Path(sys.executable).parent / "skyblend"
DAYS = ("2004-01-28", "2004-02-12")
RUNS = 3
# Same rows, from the README of the tools.
PEERS = {"EMOS": 1.850, "best model, corrected per station": 1.663, "EMOS with features": 1.601}


def timed(*command: str | Path) -> dict[str, float]:
    """Wall and CPU seconds and peak memory in MB of one process that must succeed."""
    before = time.perf_counter()
    running = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(running.pid, 0)
    running.returncode = os.waitstatus_to_exitcode(status)
    assert running.returncode == 0, command
    return {
        "wall_s": time.perf_counter() - before,
        "cpu_s": usage.ru_utime + usage.ru_stime,
        "peak_mb": usage.ru_maxrss / 1024,
    }


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(run[name] for run in runs) for name in runs[0]}


def uwme(folder: Path) -> dict[str, float]:
    """Figures of the backtest, and the scores of what it wrote."""
    tidy, out = folder / "tidy", folder / "q.csv"
    files = sorted((ARCHIVES / "uwme_t2m_48h").glob("*.csv.gz"))
    timed(sys.executable, TOOLS / "uwme_tidy.py", tidy, *files)
    store = ("--data", folder / "uwme")
    observations = tidy / "observations.csv"
    timed(SKYBLEND, *store, "upload", tidy / "forecasts.csv", observations)
    days = ("--from", DAYS[0], "--to", DAYS[1], "--out", out)
    command = (SKYBLEND, *store, "backtest", "--variable", "temperature_2m", *days)
    figures = medians([timed(*command) for _ in range(RUNS)])
    score = (sys.executable, TOOLS / "score.py", out, observations, "temperature_2m", *DAYS)
    told = subprocess.run(score, check=True, capture_output=True, text=True).stdout
    return figures | json.loads(told)


def bulletins(folder: Path) -> dict[str, float]:
    """Figures of one training with all bulletins present, each run on a folder without models."""
    store = folder / "nws"
    files = sorted((ARCHIVES / "nws_scs" / "raw").glob("scs_2021-*.tar.gz"))
    timed(SKYBLEND, "--data", store, "upload", *files)
    runs = []
    for _ in range(RUNS):
        for model in (store / "live" / "bucket" / "models").rglob("*.*"):
            model.unlink()
        runs.append(timed(SKYBLEND, "--data", store, "train", "--at", "2021-12-31T13:00Z"))
    return medians(runs)


def main() -> None:
    if not ARCHIVES.is_dir():
        raise SystemExit(f"no archives in {ARCHIVES}")
    with tempfile.TemporaryDirectory() as folder:
        found = {"uwme": uwme(Path(folder)), "train": bulletins(Path(folder))}
    backtest, train = found["uwme"], found["train"]
    print(machine())
    print(f"UWME backtest of 12 days, {backtest['rows']} rows, median of {RUNS} runs")
    print(f"  wall {backtest['wall_s']:6.1f} s (at most 60)   peak {backtest['peak_mb']:.0f} MB")
    print(f"  qcrps {backtest['qcrps']:.4f} (at most 1.66)   crossings {backtest['crossings']}")
    print(f"  90 % coverage {backtest['coverage90']:.4f} (0.86 to 0.94)")
    for name, qcrps in PEERS.items():
        print(f"  peer: {qcrps:.3f} {name}")
    print(f"train with all NWS bulletins of 2021, median of {RUNS} runs")
    print(f"  wall {train['wall_s']:6.1f} s (at most 20)   peak {train['peak_mb']:.0f} MB")
    print(json.dumps(found))


if __name__ == "__main__":
    main()
