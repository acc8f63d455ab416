"""Google's Pub/Sub emulator on this machine: found in the Cloud SDK, and run beside a command.

As a module, `python -m skyblend.cli.child PARENT skyblend.cli.emulator JAR PORT`, it becomes the
emulator; on Linux that ends with its parent, even by kill -9. The jar is started by itself, since
the SDK's own command leaves it running. What was published is in its memory alone.
"""

import os
import shutil
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import requests
from skyblend.cli import child
from skyblend.runtime.settings import Misconfigured

_JAR = "platform/pubsub-emulator/lib/cloud-pubsub-emulator-*-all.jar"
_NEEDED = (
    "Pub/Sub on this machine needs Google's emulator: set PUBSUB_EMULATOR_HOST to one that runs, or"
    " install Java and the Cloud SDK with `gcloud components install pubsub-emulator`"
)
_READY_SECONDS, _LOOK_SECONDS, _GCLOUD_SECONDS = 60.0, 0.1, 30.0


@dataclass(frozen=True, slots=True)
class Emulator:
    """A running emulator: its process and address."""

    process: "subprocess.Popen[bytes]"
    address: str

    @property
    def is_alive(self) -> bool:
        return self.process.poll() is None

    def end(self) -> None:
        self.process.kill()  # it keeps nothing that could be saved
        self.process.wait()


def start(*, port: int = 0) -> Emulator:
    """Start an emulator, 0: on a free port; returns when it answers. Raises Misconfigured where
    the jar or Java is absent, or where it does not come up."""
    jar, port = find_jar(), port or _free_port()
    process = child.start("skyblend.cli.emulator", str(jar), str(port), environ={})
    address, end = f"127.0.0.1:{port}", time.monotonic() + _READY_SECONDS
    try:
        while not _answers(address):
            if process.poll() is not None or time.monotonic() >= end:
                raise Misconfigured(f"the Pub/Sub emulator {jar} did not come up on {address}")
            time.sleep(_LOOK_SECONDS)
    except BaseException:
        process.kill()
        raise
    return Emulator(process, address)


def find_jar() -> Path:
    """The emulator's jar in the Cloud SDK; raises Misconfigured where it or Java is absent."""
    if shutil.which("java") is None:
        raise Misconfigured(f"{_NEEDED} (no java was found)")
    if (root := _sdk_root()) is None:
        raise Misconfigured(f"{_NEEDED} (no gcloud was found)")
    if not (found := sorted(root.glob(_JAR))):
        raise Misconfigured(f"{_NEEDED} (there is no {root / _JAR})")
    return found[-1]


def _sdk_root() -> Path | None:
    if said := os.environ.get("CLOUDSDK_ROOT_DIR"):
        return Path(said)
    if (gcloud := shutil.which("gcloud")) is None:
        return None
    told = subprocess.run(
        [gcloud, "info", "--format=value(installation.sdk_root)"],
        capture_output=True,
        text=True,
        check=False,
        timeout=_GCLOUD_SECONDS,
    )
    return Path(told.stdout.strip()) if told.stdout.strip() else None


def _answers(address: str) -> bool:
    try:
        return requests.get(f"http://{address}/", timeout=5).text.strip() == "Ok"
    except requests.RequestException:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def become(jar: str, port: str) -> None:
    """Replace this process by the emulator, silent: it tells of each push that fails."""
    silence = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silence, 1)
    os.dup2(silence, 2)
    os.execvp("java", ["java", "-Xmx512m", "-jar", jar, "--host=127.0.0.1", f"--port={port}"])  # noqa: S606, S607


if __name__ == "__main__":
    become(*sys.argv[1:])
