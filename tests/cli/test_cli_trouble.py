"""What a person sees of trouble: one line each, on standard error."""

import os
import subprocess
import sys
from pathlib import Path


def skyblend(folder: Path, *arguments: str, **environ: str) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder of its own."""
    return subprocess.run(
        [sys.executable, "-m", "skyblend.cli.main", "--data", str(folder / "data"), *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_failed_call_is_one_line(tmp_path: Path) -> None:
    add = ("places", "add", "Ulm", "--lat", "48.4", "--lon", "10", "--collect")
    assert skyblend(tmp_path, *add).returncode == 0
    nowhere = {  # nobody listens on port 9 of this machine
        f"SKYBLEND_OPEN_METEO_{name}_URL": "http://127.0.0.1:9/v1"
        for name in ("FORECAST", "PREVIOUS_RUNS", "ARCHIVE")
    }
    done = skyblend(tmp_path, "collect", **nowhere)
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert len(lines) > 1
    assert all(line.startswith("open_meteo ") for line in lines)


def test_a_write_that_fails_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "observations.csv"
    file.write_text(
        "place_id,latitude,longitude,elevation,observed_at,temperature_2m\n"
        "Ulm,48.4,9.98,478,2024-01-01T06:00:00Z,1.5\n"
    )
    bucket = tmp_path / "data" / "live" / "bucket"
    bucket.mkdir(parents=True)
    (bucket / "records").write_text("where a folder should be")
    done = skyblend(tmp_path, "upload", str(file))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    first, last = done.stderr.splitlines()
    assert first.startswith("skyblend: ")
    assert "a part of its path is an object" in first
    assert last == "Error: not everything is recorded yet: see above"


def test_an_env_file_that_is_not_utf_8_is_one_line(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("SKYBLEND_CONTACT=Jürgen\n".encode("latin-1"))
    done = skyblend(tmp_path, "status")
    assert done.returncode == 1
    # `SKYBLEND_CONTACT=J` are 18 bytes.
    assert done.stderr == "Error: .env: expected UTF-8, got 0xfc at byte 18\n"
