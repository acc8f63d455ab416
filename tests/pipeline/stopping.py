"""A service as its image runs it, clients that keep it busy, and what became of every request when
SIGTERM came."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from threading import Event, Lock, Semaphore, Thread

from processes import free_ports, until
from skyblend.protos.v1.events_pb2 import RawStored
from skyblend.protos.v1.records_pb2 import Place
from skyblend.runtime import names
from skyblend.runtime import places as known_places
from skyblend.runtime.bus import ROUTES, push
from skyblend.runtime.place import runtime_for
from skyblend.runtime.settings import Settings
from skyblend.runtime.tokens import bearer

DOCKERFILE = Path(__file__).resolve().parents[2] / "cloudbuild" / "Dockerfile"
DRAINED = 10.0  # seconds from SIGTERM to SIGKILL on Cloud Run
PATIENCE = 30.0  # seconds that a client waits for an answer
READ = b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Change:
    """A request that changes something: its path, content type, and the body of the n-th one."""

    path: str
    kind: str
    body: Callable[[int], bytes]


def raw(number: int) -> str:
    return f"{names.RAW}open_meteo/2026-11-20/{number % 3}.pb"


def pushed(object_: str, number: int = 0) -> bytes:
    event = RawStored(object=object_)
    return push.encode(event, trace="t", message_id=str(number), published_at=datetime.now(UTC))


CHANGES = {
    "ingest": Change("/v1/uploads?name=a.bin", "application/octet-stream", lambda n: b"%09d" % n),
    "preprocess": Change(ROUTES["RawStored"], "application/json", lambda n: pushed(raw(n), n)),
    "serve": Change("/v1/issue", "application/json", lambda n: b'{"tick": "2026-11-20T10:00:00Z"}'),
}


@dataclass
class Told:
    """What became of the requests, by kind; `failed` says more of those that failed."""

    counts: Counter[str] = field(default_factory=Counter)
    failed: list[str] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(self, outcome: str, detail: str = "") -> None:
        with self.lock:
            self.counts[outcome] += 1
            if detail:
                self.failed.append(detail)


class Load:
    """Clients of one service. A request that begins before `quiet` must be answered whole; one that
    begins later may find nobody, for nothing is sent to a service that is told to stop."""

    def __init__(self, port: int, token: str, change: Change) -> None:
        self._port, self._token, self._change = port, token, change
        self.told, self.quiet, self.stop = Told(), Event(), Event()
        self._half_sent, self._never = Semaphore(0), Event()
        self._threads: list[Thread] = []

    def start(self, *, fresh: int, kept: int, slow: int, seconds: float) -> None:
        """Clients with a connection for each request and with one for many, and `slow` ones that
        each send one body over so many seconds. Returns when all slow ones are on their way."""
        jobs = [(self._fresh, (n,)) for n in range(fresh)]
        jobs += [(self._kept, (n,)) for n in range(kept)]
        jobs += [(self._slow, (n, seconds)) for n in range(slow)]
        self._threads = [Thread(target=job, args=args) for job, args in jobs]
        for thread in self._threads:
            thread.start()
        for _ in range(slow):
            assert self._half_sent.acquire(timeout=PATIENCE)

    def join(self) -> None:
        self.stop.set()
        for thread in self._threads:
            thread.join()

    def once(self, kind: str, request: bytes) -> None:
        """One request on a connection of its own."""
        is_late = self.quiet.is_set()
        try:
            with self._connect() as stream:
                stream.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1))
                self._answered(kind, answer(stream)[0])
        except OSError as error:
            self._broken(kind, error, is_late=is_late)

    def write(self, number: int) -> bytes:
        """The n-th request that changes something."""
        change = self._change
        body = change.body(number)
        head = (
            f"POST {change.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
            f"Authorization: {bearer(self._token)}\r\nContent-Type: {change.kind}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def _request(self, number: int) -> bytes:
        """Reading and changing in turn."""
        return READ if number // 100 % 2 else self.write(number)

    def _fresh(self, number: int) -> None:
        while not self.stop.is_set():
            number += 100
            self.once("fresh", self._request(number))
            if self.quiet.is_set():
                self.stop.wait(0.02)

    def _kept(self, number: int) -> None:
        while not self.quiet.is_set():
            try:
                with self._connect() as stream:
                    self._on_one(stream, number)
            except OSError as error:
                self._broken("kept", error, is_late=self.quiet.is_set())

    def _on_one(self, stream: socket.socket, number: int) -> None:
        keeps = True
        while keeps and not self.quiet.is_set():
            number += 100
            stream.sendall(self._request(number))
            status, keeps = answer(stream)
            self._answered("kept", status)

    def _slow(self, number: int, seconds: float) -> None:
        """A body that comes in pieces."""
        request = self.write(10_000 + number)
        start = request.index(b"\r\n\r\n") + 5
        pieces = [request[:start], *(request[i : i + 1] for i in range(start, len(request)))]
        try:
            with self._connect() as stream:
                for count, piece in enumerate(pieces):
                    stream.sendall(piece)
                    if count == 1:
                        self._half_sent.release()
                    self._never.wait(seconds / len(pieces))
                self._answered("slow", answer(stream)[0])
        except OSError as error:
            self._broken("slow", error, is_late=False)

    def _connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE)

    def _answered(self, kind: str, status: int) -> None:
        good = status < 300
        self.told.add(f"{kind} {status}", "" if good else f"{kind} is answered with {status}")

    def _broken(self, kind: str, error: OSError, *, is_late: bool) -> None:
        """Who is refused after `quiet` was not let in, whenever he set out."""
        is_late |= isinstance(error, ConnectionRefusedError) and self.quiet.is_set()
        outcome = f"{kind} {type(error).__name__}"
        self.told.add(f"late {outcome}" if is_late else outcome, "" if is_late else outcome)


def answer(stream: socket.socket) -> tuple[int, bool]:
    """Status of a whole answer, and whether the connection is kept; raises ConnectionError for one
    that is cut."""
    got = b""
    while b"\r\n\r\n" not in got:
        got += _more(stream, got)
    head, _, body = got.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    length = int(headers.get(b"content-length", b"0"))
    while len(body) < length:
        body += _more(stream, body)
    return status, headers.get(b"connection") != b"close"


def _more(stream: socket.socket, so_far: bytes) -> bytes:
    piece = stream.recv(65536)
    if not piece:
        raise ConnectionResetError(f"the connection ends after {len(so_far)} bytes")
    return piece


def image_of(name: str) -> tuple[str, dict[str, str]]:
    """The command line of an image and the variables that it sets, from the Dockerfile."""
    lines = DOCKERFILE.read_text().replace("\\\n", "")
    line, environ = "", dict[str, str]()
    stages = re.findall(r"^FROM (\S+) AS (\S+)\n(.*?)(?=^FROM |\Z)", lines, re.M | re.S)
    bodies = {stage: (parent, body) for parent, stage, body in stages}
    while name in bodies:
        name, body = bodies[name]
        for found in re.findall(r"^ENV (.*)$", body, re.M):
            environ = dict(pair.split("=", 1) for pair in shlex.split(found)) | environ
        for found in re.findall(r"^CMD (\[.*\])$", body, re.M):
            line = line or json.loads(found)[2]
    return line, environ


def command(image: str, port: int) -> tuple[str, dict[str, str]]:
    """The same for the packages that are installed here, on loopback."""
    line, environ = image_of(image)
    main = find_spec(f"skyblend.{'predict' if image == 'serve' else image}.main")
    assert main is not None
    line = re.sub(r"\$\(echo [^)]*/main\.py\)", str(main.origin), line)
    logs = Path(str(files("skyblend.runtime").joinpath("granian.json")))
    line = re.sub(r"\$\(echo [^)]*/granian\.json\)", str(logs), line)
    options = f"{environ.get('GUNICORN_CMD_ARGS', '')} --bind 127.0.0.1:{port}"
    ours = {
        "PORT": str(port),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "GUNICORN_CMD_ARGS": options,
    }
    return line.replace("0.0.0.0", "127.0.0.1"), environ | ours


@dataclass(frozen=True, slots=True)
class Running:
    """A service that runs, alone on a data folder."""

    process: "subprocess.Popen[bytes]"
    port: int
    token: str
    data: Path


@contextmanager
def running(image: str, data: Path, **more: str) -> Iterator[Running]:
    """A service as its image starts it, with more variables; it is killed if it is left running."""
    runtime = runtime_for(Settings.read({"SKYBLEND_DATA": str(data)}))
    known_places.add(runtime.storage, [Place(id="berlin", latitude=52.5, longitude=13.4)])
    for number in range(3):
        runtime.storage.write(raw(number), b"")
    runtime.bus.close()
    port = free_ports(1)
    line, ours = command(image, port)
    environ = os.environ | ours | {"SKYBLEND_DATA": str(data), "HOME": str(data)} | more
    with (data / "output.txt").open("w") as output:
        process = subprocess.Popen(["sh", "-c", line], env=environ, stdout=output, stderr=output)
    try:
        until(lambda: is_up(port))
        yield Running(process, port, runtime.token, data)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


def drained(service: Running) -> int:
    """Its exit code after SIGTERM; raises TimeoutExpired where it takes too long."""
    service.process.send_signal(signal.SIGTERM)
    return service.process.wait(DRAINED)


def is_up(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as stream:
            stream.sendall(READ)
            return answer(stream)[0] == 200
    except OSError:
        return False
