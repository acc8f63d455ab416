"""The worker of `skyblend up`: the services behind one callable, and the pipeline's threads."""

import logging
import os
import platform
from threading import Event

from skyblend.cli import defaults
from skyblend.cli.apps import App, apps, router
from skyblend.cli.log_files import log_to_file
from skyblend.cli.progress import Progress
from skyblend.cli.schedule import Schedule
from skyblend.cli.simulation import with_simulator
from skyblend.runtime import traces
from skyblend.runtime.bus.post import into_wsgi
from skyblend.runtime.guards import address
from skyblend.runtime.lifeline import tie
from skyblend.runtime.place import Runtime, runtime_for
from skyblend.runtime.settings import Settings


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
