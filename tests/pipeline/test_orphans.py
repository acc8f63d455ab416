"""A worker of serve whose supervisor is killed is no rival of the next one."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from processes import free_ports, until
from skyblend.cli.services import table


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_a_worker_that_was_never_asked_ends_with_its_supervisor(tmp_path: Path) -> None:
    first = free_ports(3)
    (serve,) = (one for one in table("127.0.0.1", first) if one.name == "predict")
    environ = {**os.environ, "SKYBLEND_DATA": str(tmp_path)}
    command = [sys.executable, "-m", serve.module, *serve.arguments]
    with subprocess.Popen(command, env=environ) as supervisor:
        until(lambda: is_listening(serve.port))
        os.kill(supervisor.pid, signal.SIGKILL)
    until(lambda: not is_listening(serve.port), 20)
