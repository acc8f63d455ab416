"""Run a module in a process that ends with the one that started it, even by kill -9.

As a script: `python -m skyblend.cli.child PARENT MODULE [ARGUMENT...]`.
"""

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path

from skyblend.runtime.lifeline import tie


def start(
    module: str, *arguments: str, environ: Mapping[str, str], output: Path | None = None
) -> "subprocess.Popen[bytes]":
    """Start `python -m module arguments` with `environ` on top of ours; what it writes goes to the
    end of `output`."""
    with output.open("ab") if output else nullcontext() as file:
        return subprocess.Popen(
            _command(module, arguments), env={**os.environ, **environ}, stdout=file, stderr=file
        )


def run(
    module: str, *arguments: str, environ: Mapping[str, str]
) -> "subprocess.CompletedProcess[str]":
    """Run it to its end; gives the exit code and what it wrote."""
    return subprocess.run(
        _command(module, arguments),
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def _command(module: str, arguments: Sequence[str]) -> list[str]:
    return [sys.executable, "-m", "skyblend.cli.child", str(os.getpid()), module, *arguments]


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
