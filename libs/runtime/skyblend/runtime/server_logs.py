"""The web servers' own lines in the form of ours, where Cloud Run runs us; else as they make them.

    gunicorn --logger-class skyblend.runtime.server_logs.GunicornLogger ...
    granian --log-config .../skyblend/runtime/granian.json ...

Lines of a worker that has answered a first request go through our logs anyway; these are for the
processes that start and stop workers, and for workers that do not come up.
"""

import os
from typing import Any

from gunicorn.glogging import Logger  # type: ignore[import-untyped]
from skyblend.runtime import cloud_logs


class GunicornLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger with our lines."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        if cloud_logs.is_google(os.environ):
            for handler in self.error_log.handlers:
                handler.setFormatter(cloud_logs.CloudLines(os.environ))
