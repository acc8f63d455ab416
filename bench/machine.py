"""The machine that figures are measured on."""

import os
import platform
from pathlib import Path


def machine() -> str:
    """Processor, cores and Python in one line."""
    found = Path("/proc/cpuinfo")
    lines = found.read_text().splitlines() if found.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    name = next(names, platform.machine())
    return f"{name}, {os.cpu_count()} cores, Python {platform.python_version()}"
