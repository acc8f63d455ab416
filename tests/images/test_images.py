"""The four images, built and run (`make images`): what they weigh, that they start where they may
write nothing, answer without being root, and end when asked. Figures are told as proofs."""

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

if not os.environ.get("SKYBLEND_PROVE"):
    pytest.skip("images are built by `make images`", allow_module_level=True)

pytestmark = [pytest.mark.images, pytest.mark.timeout(900)]
ROOT = Path(__file__).resolve().parents[2]
BASE = "python:3.11-slim"
MB = 10**6
LIMITS = {"ingest": 150 * MB, "preprocess": 400 * MB, "serve": 250 * MB, "train": 400 * MB}
KINDS = {"ingest": "service", "preprocess": "service", "serve": "service", "train": "job"}
SERVICES = [image for image, kind in KINDS.items() if kind == "service"]
# What an image may lack although one of its packages has a module for it: another image runs that.
MAY_LACK = {
    "ingest": {"duckdb", "pyarrow"},
    "preprocess": {"sklearn"},
    "serve": {"duckdb", "gunicorn", "pyarrow", "sklearn", "threadpoolctl"},
    "train": {"flask", "functions_framework", "granian", "gunicorn", "orjson", "sklearn"},
}
HARDENED = ("--read-only", "--tmpfs", "/tmp", "--env", "SKYBLEND_DATA=/tmp/data")
CLOUD = {
    "SKYBLEND_STORAGE": "gcs",
    "SKYBLEND_BUS": "pubsub",
    "SKYBLEND_TABLES": "bigquery",
    "SKYBLEND_AUTH": "oidc",
    "SKYBLEND_AUDIENCE": "https://service.example",
    "SKYBLEND_CALLERS": "push@project.example",
    "SKYBLEND_PROJECT": "project",
    "SKYBLEND_BUCKET": "bucket",
    # Nobody answers there: that a service is alive must not depend on it.
    "STORAGE_EMULATOR_HOST": "http://127.0.0.1:1",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:1",
    "BIGQUERY_EMULATOR_HOST": "http://127.0.0.1:1",
}
WALK = """
import importlib, json
from pathlib import Path
import skyblend

def modules(folder, name):
    for path in sorted(folder.iterdir()):
        if path.suffix == ".py" and not path.stem.startswith("__"):
            yield f"{name}.{path.stem}"
        elif path.is_dir() and path.name.isidentifier() and path.name != "__pycache__":
            yield from modules(path, f"{name}.{path.name}")

lacking = {}
for module in modules(Path(skyblend.__path__[0]), "skyblend"):
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        lacking[module] = error.name
print(json.dumps(lacking))
"""


def docker(*arguments: str | Path) -> str:
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout.strip()


def size(image: str) -> int:
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


@pytest.fixture(scope="session")
def base() -> str:
    """The base image, official or a stand-in."""
    asked = ["docker", "version"]
    if (
        not shutil.which("docker")
        or subprocess.run(asked, capture_output=True, check=False).returncode
    ):
        pytest.skip("no docker daemon answers (DOCKER_HOST names another)")
    if not docker("image", "ls", "--quiet", BASE):
        pytest.skip(f"{BASE} is absent: pull it, or make a stand-in by tests/images/stand_in.sh")
    return BASE


@pytest.fixture(scope="session", params=KINDS)
def image(request: pytest.FixtureRequest, base: str) -> str:
    """One of the four, freshly built."""
    name: str = request.param
    return build(name)


@pytest.fixture(scope="session", params=SERVICES)
def service(request: pytest.FixtureRequest, base: str) -> str:
    """One of the three that answer."""
    name: str = request.param
    return build(name)


def build(name: str) -> str:
    docker(
        *("build", "--network=host", "--file", ROOT / "cloudbuild" / "Dockerfile"),
        *("--target", name, "--tag", f"skyblend-{name}:local", ROOT),
    )
    return name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def running(name: str, port: int, environ: dict[str, str]) -> Iterator[str]:
    given = [f"--env={key}={value}" for key, value in {**environ, "PORT": str(port)}.items()]
    image = f"skyblend-{name}:local"
    container = docker("run", "--detach", "--network=host", *HARDENED, *given, image)
    try:
        yield container
    finally:
        docker("rm", "--force", container)


def first_answer(port: int) -> str:
    """The first answer of /health; the connection is refused until the server listens."""
    deadline = time.monotonic() + 60
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=30) as answer:
                text: str = answer.read().decode()
                return text
        except urllib.error.HTTPError:
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)  # nothing tells when another process begins to listen


def test_an_image_is_no_larger_than_it_may_be(
    image: str, base: str, record_property: Callable[[str, object], None]
) -> None:
    above = size(f"skyblend-{image}:local") - size(base)
    record_property("proof", f"image {image}: {above / MB:.0f} MB above the base")
    assert above <= LIMITS[image]


def test_an_image_passes_the_trial_of_its_build(image: str) -> None:
    trial = [ROOT / "cloudbuild" / "try.sh", f"skyblend-{image}:local", KINDS[image]]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("where", ["one machine", "cloud"])
def test_a_service_answers_soon_after_its_start(
    service: str, where: str, record_property: Callable[[str, object], None]
) -> None:
    port, seconds = free_port(), []
    for _ in range(3):
        started = time.perf_counter()
        with running(service, port, CLOUD if where == "cloud" else {}):
            assert json.loads(first_answer(port))["status"] == "ok"
            seconds.append(time.perf_counter() - started)
    record_property("proof", f"image {service}, {where}: first /health {min(seconds):.2f} s")


def test_every_module_that_an_image_can_use_is_importable_in_it(image: str) -> None:
    told = docker(
        *("run", "--rm", "--network=none", *HARDENED, f"skyblend-{image}:local"),
        *("python", "-c", WALK),
    )
    lacking = set(json.loads(told.splitlines()[-1]).values())
    assert lacking <= MAY_LACK[image]


SERVER = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
http.server.HTTPServer(("", 8080), Handler).serve_forever()
"""
PLANTED = {
    "it runs as root": ["USER root"],
    "it has cc": ["USER root", "RUN ln -s /bin/true /usr/bin/cc", "USER 10001"],
    "HTTP Error 404": ['CMD ["python", "-m", "http.server", "8080"]'],
    # As the first process it ignores the signal that it does not handle.
    "expected 0 within ten seconds of SIGTERM, got 137": [
        f"CMD {json.dumps(['python', '-c', SERVER])}"
    ],
}


@pytest.mark.parametrize("why", PLANTED)
def test_the_trial_refuses_an_image_that_is_not_as_it_should_be(base: str, why: str) -> None:
    lines = [f"FROM skyblend-{build('ingest')}:local", *PLANTED[why]]
    make = ["docker", "build", "--network=host", "--tag", "skyblend-planted:local", "-"]
    subprocess.run(make, input="\n".join(lines), text=True, capture_output=True, check=True)
    trial = [ROOT / "cloudbuild" / "try.sh", "skyblend-planted:local", "service"]
    done = subprocess.run(trial, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert why in done.stderr
