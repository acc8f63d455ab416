"""The entry of the service as functions-framework runs it: a process of its own, over HTTP."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from processes import free_ports
from requests.adapters import HTTPAdapter
from skyblend.ingest import main
from skyblend.runtime.tokens import token
from urllib3.util import Retry

LIMIT = 20_000_000


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Address and headers of the running service; uploads of up to 20 MB."""
    data = tmp_path_factory.mktemp("data")
    port = free_ports(1)
    command = [
        *(sys.executable, "-m", "functions_framework", "--target", "ingest"),
        *("--source", str(Path(main.__file__)), "--host", "127.0.0.1", "--port", str(port)),
    ]
    environ = os.environ | {
        "SKYBLEND_DATA": str(data),
        "SKYBLEND_UPLOAD_LIMIT": str(LIMIT),
    }
    with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            _wait(url)
            yield url, {"Authorization": f"Bearer {token(data)}"}
        finally:
            process.terminate()


def _wait(url):
    """Ask until the service listens, for about 10 s."""
    patient = requests.Session()
    patient.mount(url, HTTPAdapter(max_retries=Retry(30, backoff_factor=0.05, backoff_max=0.4)))
    with patient:
        assert patient.get(f"{url}/health", timeout=5).ok


def send(service, pieces):
    url, headers = service
    headers = headers | {"Content-Type": "application/octet-stream"}
    return requests.post(f"{url}/v1/uploads?name=big.bin", data=pieces, headers=headers, timeout=30)


def test_an_upload_larger_than_the_framework_expects_is_streamed(service):
    answer = send(service, b"x" * 12_000_000)
    assert answer.status_code == 201
    assert answer.json()["created"]


def test_an_upload_beyond_the_limit_is_refused_by_what_it_states(service):
    assert send(service, b"x" * (LIMIT + 1)).status_code == 413


def test_a_refusal_is_a_problem_and_shows_no_header(service):
    url, _ = service
    answer = requests.post(
        f"{url}/v1/collect", json={}, headers={"Authorization": "Bearer wrong-one"}, timeout=10
    )
    assert answer.status_code == 401
    assert "wrong-one" not in answer.text
