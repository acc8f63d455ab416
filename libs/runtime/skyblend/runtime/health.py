"""What a probe asks: /health (the process answers; nothing is called) and /ready (the bucket
answers).

A probe comes from the machine that runs us, without credentials and with our address as its Host,
so both are open. They tell nothing else.
"""

import threading

from skyblend.runtime import logs, names
from skyblend.runtime.storage import Storage, StorageError

PROBES = frozenset({"/health", "/ready"})
_LONGEST_REASON = 300  # characters
_WAIT_SECONDS = 1.0  # below the time-out of a probe
_LOOKING = threading.Lock()


def is_probe(method: str, path: str) -> bool:
    """Whether a request is a probe's."""
    return method in ("GET", "HEAD") and path in PROBES


def trouble(storage: Storage) -> str | None:
    """Why the service is not ready, None where it is. A bucket that does not answer holds up one
    probe, and not every thread that the next ones come to."""
    if not _LOOKING.acquire(timeout=_WAIT_SECONDS):
        return "the storage has not answered the probe before"
    try:
        storage.generation(names.PLACES)
    except (StorageError, OSError) as error:
        told = logs.masked(str(error))[:_LONGEST_REASON]
        return f"the storage cannot be read: {type(error).__name__}: {told}"
    finally:
        _LOOKING.release()
    return None
