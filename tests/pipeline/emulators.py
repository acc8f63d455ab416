"""Google's Pub/Sub emulator for tests, one in a process, and endpoints that it can push to."""

import atexit
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from skyblend.cli import emulator
from skyblend.runtime.bus.emulator import ADDRESS, Patience, arrange
from skyblend.runtime.settings import Misconfigured

PROJECT = "skyblend-tests"
Answer = Callable[[str, bytes], int]  # path and body -> status


@cache
def _address() -> str:
    """The emulator of this process, or why there is none."""
    if given := os.environ.get(ADDRESS):
        return given
    try:
        started = emulator.start()
    except Misconfigured as absent:
        return f"! {absent}"
    atexit.register(started.end)
    return started.address


def emulator_address() -> str:
    """The address of a running emulator, which is this process's setting from now on; skips the
    test where the jar or Java is absent."""
    if (found := _address()).startswith("!"):
        pytest.skip(found[2:])
    os.environ[ADDRESS] = found
    return found


def new_prefix() -> str:
    """Nothing resets the emulator, so each test has topics of its own."""
    return f"t{secrets.token_hex(4)}-"


@contextmanager
def served(answer: Answer) -> Iterator[str]:
    """An HTTP server on loopback that hands each POST to `answer`; gives its base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(answer(self.path, body))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def subscribed(prefix: str, url: str, *, patience: Patience | None = None) -> None:
    """Topics with `prefix`, pushed to the paths below `url`."""
    arrange(PROJECT, prefix=prefix, endpoint=lambda path: url + path, patience=patience)
