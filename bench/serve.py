"""What a forecast costs to serve: requests per CPU second from prepared bytes, and the CPU of a
start until its first answer.

`python -m bench.serve` prints a table and, as its last line, the figures as JSON.
"""

import contextlib
import os
import platform
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psutil
from skyblend.predict.serve.issue import issue
from skyblend.protos.v1.records_pb2 import Place, Run
from skyblend.protos.v1.variables_pb2 import TEMPERATURE_2M
from skyblend.runtime import names, places
from skyblend.runtime.latest import parts
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings

RUNS = 5
REQUESTS = 20_000
CONNECTIONS = 4
LEAST_REQUESTS, MOST_SECONDS = 5_000, 0.6  # the limits
PATH = "/v1/forecast?latitude=52.52&longitude=13.41&hourly=temperature_2m&quantiles=p10,p50,p90"
ASK = f"GET {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: */*\r\n\r\n".encode()
MODELS = ("ecmwf_ifs025", "gfs_seamless", "icon_seamless")
RAW = names.upload("0" * 64)
PEER_LATEST = "latest.pb"  # the runs in a file of their own, for the peer of bench.start


def prepare(folder: Path) -> None:
    """A data folder with one place, issued from three made-up runs of ten days."""
    now = datetime.now(UTC)
    runtime = runtime_for(Settings(data=folder))
    place = Place(id="berlin", name="Berlin", latitude=52.52, longitude=13.41, elevation=40)
    places.add(runtime.storage, [place])
    latest = parts.latest(place.id, [_run(model, now) for model in MODELS])
    runtime.storage.write(names.latest(RAW), parts.encode({place.id: latest}))
    (folder / PEER_LATEST).write_bytes(latest)
    assert issue(runtime, now=now).issued == ("berlin",)


def _run(model: str, now: datetime) -> Run:
    first = int(now.timestamp()) // 3600 * 3600
    hours = range(-24, 240)
    run = Run(source="open_meteo", model=model)
    for field in (run.issued_at, run.known_at, run.received_at):
        field.FromDatetime(now - timedelta(hours=3))
    run.series.add(
        variable=TEMPERATURE_2M,
        valid_at=[first + 3600 * hour for hour in hours],
        value=[8 + 5 * (hour % 24) / 24 + len(model) / 10 for hour in hours],
    )
    return run


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextlib.contextmanager
def served(folder: Path) -> Iterator[tuple[psutil.Process, int]]:
    """Granian with one worker on a free port, as a process tree of its own."""
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "wsgi", "--port", str(port)]
    command += [
        "--http",
        "1",
        "--no-ws",
        "--log-level",
        "error",
        "--factory",
        "skyblend.predict.main:create",
    ]
    environ = {**os.environ, "SKYBLEND_DATA": str(folder), "SKYBLEND_LOG_LEVEL": "WARNING"}
    process = subprocess.Popen(command, env=environ)
    try:
        yield psutil.Process(process.pid), port
    finally:
        process.terminate()
        process.wait(30)


def cpu(process: psutil.Process) -> float:
    """CPU seconds of a process and all below it, ended ones included."""
    times = [one.cpu_times() for one in (process, *process.children(recursive=True))]
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def connect(port: int) -> socket.socket:
    """A connection, as soon as the server takes one."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError):
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        time.sleep(0.005)
    raise TimeoutError(f"nothing listens on port {port}")


def ask(connection: socket.socket) -> bytes:
    """One request; the whole answer, which is checked to be a forecast."""
    connection.sendall(ASK)
    head, _, body = connection.recv(1 << 16).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), head
    (length,) = (
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length")
    )
    while len(body) < length:
        body += connection.recv(1 << 16)
    return head + b"\r\n\r\n" + body


def start(folder: Path) -> float:
    """CPU seconds from the process's start until its first answer is there."""
    with served(folder) as (process, port):
        answer = ask(connect(port))
        spent = cpu(process)
        hourly = orjson.loads(answer.partition(b"\r\n\r\n")[2])["hourly"]
        assert len(hourly["temperature_2m_p90"]) == 168
        return spent


def throughput(folder: Path) -> float:
    """Requests per CPU second of the server, over several connections that are kept."""
    with served(folder) as (process, port):
        size = len(ask(connect(port)))
        connections = [connect(port) for _ in range(CONNECTIONS)]
        _load(connections, size, REQUESTS // 10)
        before = cpu(process)
        _load(connections, size, REQUESTS)
        return REQUESTS / (cpu(process) - before)


def _load(connections: list[socket.socket], size: int, requests: int) -> None:
    share = requests // len(connections)
    threads = [threading.Thread(target=_loop, args=(one, size, share)) for one in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _loop(connection: socket.socket, size: int, requests: int) -> None:
    answer = bytearray(size)
    for _ in range(requests):
        connection.sendall(ASK)
        connection.recv_into(answer, size, socket.MSG_WAITALL)
        assert answer.startswith(b"HTTP/1.1 200")


def measure() -> dict[str, float]:
    """All figures, medians of several runs."""
    with tempfile.TemporaryDirectory() as folder:
        prepare(Path(folder))
        return {
            "requests_per_cpu_second": statistics.median(
                throughput(Path(folder)) for _ in range(RUNS)
            ),
            "start_cpu_seconds": statistics.median(start(Path(folder)) for _ in range(RUNS)),
        }


def main() -> None:
    found = measure()
    print(
        f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},",
        end=" ",
    )
    print(f"median of {RUNS} runs; 168 h of temperature with three quantiles")
    print(f"  forecasts  {found['requests_per_cpu_second']:10,.0f} per CPU second", end="   ")
    print(f"(at least {LEAST_REQUESTS:,})")
    print(
        f"  start      {found['start_cpu_seconds']:10.2f} s CPU until the first answer", end="   "
    )
    print(f"(at most {MOST_SECONDS})")
    print(orjson.dumps({"serve": found}).decode())


if __name__ == "__main__":
    main()
