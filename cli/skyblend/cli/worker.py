"""The worker of `skyblend up`: the services behind one callable, and the pipeline's threads."""

import logging
import os
import platform
from pathlib import Path
from threading import Event

from skyblend.cli import defaults
from skyblend.cli.apps import App, apps, router
from skyblend.cli.progress import Progress
from skyblend.cli.schedule import Schedule
from skyblend.cli.simulation import with_simulator
from skyblend.runtime import logs, traces
from skyblend.runtime.bus.post import into_wsgi
from skyblend.runtime.guards import address
from skyblend.runtime.lifeline import tie
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings

# A log file that has grown to this is put aside at the next start.
_LOG_BYTES = 50 * 2**20


def load(supervisor: int) -> App:
    """Start the pipeline in this process and give what answers its requests."""
    tie(supervisor)
    settings = Settings.read(os.environ)
    log_to_file(settings)
    traces.begin(settings, service="up")
    if settings.is_simulated:
        settings = with_simulator(settings)
    runtime = runtime_for(settings)
    logging.getLogger(__name__).info("started on Python %s", platform.python_version())
    return start(runtime)


def start(runtime: Runtime) -> App:
    """The pipeline on `runtime`: default places, the schedule's threads, progress for a person."""
    defaults.add_if_new(runtime.storage)
    app = router(apps(runtime))
    schedule = Schedule(runtime, into_wsgi(app), stop=Event())
    schedule.start()
    url = address(runtime.settings.host, runtime.settings.port)
    Progress(runtime, schedule, address=url).start()
    return app


def log_to_file(settings: Settings) -> Path:
    """Send the logs of this process to DATA/<realm>/logs/up.jsonl; gives the file."""
    path = settings.root / "logs" / "up.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".old.jsonl"))
    stream = path.open("a", buffering=1)
    logs.configure(settings.log_level, secret_values=settings.secrets(), stream=stream)
    return path
