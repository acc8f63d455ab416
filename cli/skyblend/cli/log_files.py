"""Where the processes of a pipeline write their logs: DATA/<realm>/logs/<name>.jsonl."""

from pathlib import Path

from skyblend.runtime import logs
from skyblend.runtime.settings import Settings

# A log file that has grown to this is put aside at the next start.
_LOG_BYTES = 50 * 2**20


def log_file(settings: Settings, name: str) -> Path:
    """The file, in a folder that is there; a large one of before is put aside."""
    path = settings.root / "logs" / f"{name}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".old.jsonl"))
    return path


def log_to_file(settings: Settings) -> None:
    """Send the logs of this process to up.jsonl."""
    stream = log_file(settings, "up").open("a", buffering=1)
    logs.configure(settings.log_level, secret_values=settings.secrets(), stream=stream)
