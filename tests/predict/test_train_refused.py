"""What keeps a training from its work is one line of the log."""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_a_training_with_wrong_settings_ends_with_one_line(tmp_path: Path) -> None:
    environ = {**os.environ, "SKYBLEND_DATA": str(tmp_path), "SKYBLEND_STORAGE": "many"}
    command = [sys.executable, "-m", "skyblend.predict.train"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    (line,) = done.stderr.splitlines()
    told = json.loads(line)
    assert told["severity"] == "ERROR"
    assert told["message"].startswith("not trained: SKYBLEND_STORAGE")
