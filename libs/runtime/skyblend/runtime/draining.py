"""How ingest and preprocess stop: a worker of gunicorn that leaves nobody waiting.

    gunicorn --worker-class skyblend.runtime.draining.DrainingWorker ...

At SIGTERM gunicorn's own worker of threads answers what it has accepted, but keeps the listening
socket to the end: whoever connects meanwhile waits for seconds and is then cut off, and so is who
had just come. This one first accepts those that wait, then closes the socket, so that the next is
refused at once and may go elsewhere, and then answers what it has.
"""

import select
import socket

from gunicorn.workers.gthread import ThreadWorker  # type: ignore[import-untyped]


class DrainingWorker(ThreadWorker):  # type: ignore[misc]
    """A worker of threads that stops listening when it is told to stop."""

    def set_accept_enabled(self, enabled: bool) -> None:
        """Called with False where the worker is full, and when it stops."""
        super().set_accept_enabled(enabled)
        if not self.alive and not enabled:
            for listener in self.sockets:
                self._accept_waiting(listener)
                listener.close()

    def _accept_waiting(self, listener: socket.socket) -> None:
        """Accept who has connected, up to what a worker takes at all."""
        waiting = select.poll()
        waiting.register(listener.fileno(), select.POLLIN)
        while self.nr_conns < self.worker_connections and waiting.poll(0):
            self.accept(listener)
