"""Run a module in a process that ends with the one that started it, even by kill -9.

As a script: `python -m skyblend.cli.child PARENT MODULE [ARGUMENT...]`.
"""

import os
import runpy
import subprocess
import sys
from collections.abc import Mapping

from skyblend.runtime.lifeline import tie


def start(module: str, *arguments: str, environ: Mapping[str, str]) -> "subprocess.Popen[bytes]":
    """Start `python -m module arguments` with `environ` on top of ours."""
    command = [sys.executable, "-m", "skyblend.cli.child", str(os.getpid()), module, *arguments]
    return subprocess.Popen(command, env={**os.environ, **environ})


def run(module: str, *arguments: str, environ: Mapping[str, str]) -> int:
    """Run it to its end and give the exit code."""
    return start(module, *arguments, environ=environ).wait()


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    sys.argv = sys.argv[2:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
