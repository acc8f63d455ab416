"""The entry module: what it imports and refuses."""

import os
import subprocess
import sys
from pathlib import Path

_FIRST_ANSWER = """
import io, sys
from skyblend.predict.main import App
answers = []
environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/v1/forecast", "HTTP_HOST": "localhost",
           "QUERY_STRING": "latitude=1&longitude=2", "wsgi.input": io.BytesIO()}
body = b"".join(App()(environ, lambda status, headers: answers.append(status)))
print(answers[0], "|", *sorted(sys.modules))
"""


def _python(code: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_first_forecast_needs_no_heavy_package(tmp_path: Path) -> None:
    done = _python(_FIRST_ANSWER, SKYBLEND_DATA=str(tmp_path))
    status, _, modules = done.stdout.partition("|")
    assert status.strip() == "404 Not Found", done.stderr
    heavy = "pandas sklearn scipy duckdb pyarrow requests flask werkzeug granian"
    heavy += " google.auth google.api_core grpc opentelemetry"
    assert not set(heavy.split()) & set(modules.split())
    # `google.cloud` itself is made by a .pth file of functions-framework
    assert not [name for name in modules.split() if name.startswith("google.cloud.")]


def test_mistakes_in_the_settings_are_all_told(tmp_path: Path) -> None:
    done = _python(
        _FIRST_ANSWER,
        SKYBLEND_DATA=str(tmp_path),
        SKYBLEND_PORT="many",
        SKYBLEND_NEAREST_KM="-1",
    )
    assert done.stdout.partition("|")[0].strip() == "503 Service Unavailable"
    assert len(done.stderr.splitlines()) == 1  # and no trace of where it was found
    assert "SKYBLEND_PORT must be a whole number, got 'many'" in done.stderr
    assert "SKYBLEND_NEAREST_KM must be a number greater than 0" in done.stderr
