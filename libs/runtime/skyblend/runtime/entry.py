"""What an entry module does before anything else: logs as the place reads them, then the settings,
then traces. Settings that cannot be used are told in the logs' own form."""

import os
from collections.abc import Mapping

from skyblend.runtime import cloud_logs, logs, traces
from skyblend.runtime.requests_log import RequestLog, Wsgi
from skyblend.runtime.settings import Settings


def begin(service: str, *, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of this process; raises Misconfigured."""
    lines = cloud_logs.CloudLines(environ) if cloud_logs.is_google(environ) else None
    logs.configure(lines=lines)
    if lines:
        cloud_logs.adopt()
    settings = Settings.read(environ)
    logs.configure(settings.log_level, secret_values=settings.secrets(), lines=lines)
    traces.begin(settings, service=service)
    return settings


def watched(app: Wsgi, *, environ: Mapping[str, str] = os.environ) -> Wsgi:
    """The application with a log line per request where Cloud Run runs us, else as it is."""
    return RequestLog(app) if cloud_logs.is_google(environ) else app
