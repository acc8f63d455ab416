"""What a cold start costs: the imports of each entry module, and the CPU until the first answer
beside the same forecast behind functions-framework with scikit-learn.

`python -m bench.start` prints a table and, as its last line, the figures as JSON.
"""

import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import psutil

from bench.machine import machine
from bench.serve import PEER_LATEST, ask, connect, cpu, free_port, prepare, start

RUNS = 7
MOST = 0.4  # of the peer's CPU
ENTRIES = {
    "ingest": "skyblend.ingest.main",
    "preprocess": "skyblend.preprocess.main",
    "serve": "skyblend.predict.main",
    "serve, first forecast": "skyblend.predict.serve.app",
    "train": "skyblend.predict.train.__main__",
}
_LINE = re.compile(r"import time:\s+(\d+) \|\s+(\d+) \|( +)(\S+)")
PEER = Path(__file__).parent / "peer_function.py"


def imports(module: str) -> tuple[float, str]:
    """Milliseconds that `import module` takes (median), and what of it takes most."""
    runs = [_importtime(module) for _ in range(RUNS)]
    runs.sort(key=lambda run: run[0])
    return runs[RUNS // 2]


def _importtime(module: str) -> tuple[float, str]:
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"import {module}"],
        capture_output=True,
        text=True,
        check=True,
    )
    total, packages = 0.0, dict[str, float]()
    for own, cumulative, _, name in _LINE.findall(done.stderr):
        packages[name.split(".")[0]] = packages.get(name.split(".")[0], 0.0) + int(own) / 1000
        if name == module:
            total = int(cumulative) / 1000
    packages.pop("skyblend", None)
    heaviest = sorted(packages, key=lambda name: -packages[name])[:3]
    return total, ", ".join(f"{name} {packages[name]:.0f}" for name in heaviest)


@contextmanager
def peer(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """functions-framework with its production server, as a process tree of its own."""
    port = free_port()
    command = [sys.executable, "-m", "functions_framework", "--target", "forecast"]
    command += ["--source", str(PEER), "--host", "127.0.0.1", "--port", str(port)]
    latest = str(folder / PEER_LATEST)
    process = subprocess.Popen(
        command, env={**os.environ, "PEER_LATEST": latest}, stderr=subprocess.DEVNULL
    )
    try:
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(30)


def peer_start(folder: Path) -> float:
    """CPU seconds of the peer from its start until its first answer is there."""
    with peer(folder) as (process, port):
        answer = ask(connect(port))
        spent = cpu(process)
        assert len(orjson.loads(answer.partition(b"\r\n\r\n")[2])["hourly"]["time"]) == 168
        return spent


def measure() -> dict[str, float]:
    """CPU seconds to the first answer, ours and the peer's by turns, medians."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        pairs = [(start(Path(folder)), peer_start(Path(folder))) for _ in range(RUNS)]
    ours, peers = (statistics.median(column) for column in zip(*pairs, strict=True))
    return {"first_answer_cpu_s": ours, "peer_cpu_s": peers, "ratio": ours / peers}


def main() -> None:
    print(machine())
    print(f"imports, ms, median of {RUNS} runs, and the heaviest packages")
    taken = {}
    for name, module in ENTRIES.items():
        taken[name], heaviest = imports(module)
        print(f"  {name:<22} {taken[name]:7.0f}   {heaviest}")
    found = measure()
    print(f"CPU seconds from start to first answer, median of {RUNS} runs by turns")
    print(f"  serve                            {found['first_answer_cpu_s']:6.2f}")
    print(f"  functions-framework + sklearn    {found['peer_cpu_s']:6.2f}")
    print(f"  ratio                            {found['ratio']:6.2f}   (at most {MOST})")
    print(orjson.dumps({"start": {"imports_ms": taken, **found}}).decode())


if __name__ == "__main__":
    main()
