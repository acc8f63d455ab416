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
_ANSWER_SECONDS = 3.0  # after which a bucket counts as one that does not answer
_LOOKING = threading.Lock()


def is_probe(method: str, path: str) -> bool:
    """Whether a request is a probe's."""
    return method in ("GET", "HEAD") and path in PROBES


def trouble(storage: Storage) -> str | None:
    """Why the service is not ready, None where it is. A bucket that does not answer is looked at
    once, aside, and holds up no thread that answers requests."""
    if not _LOOKING.acquire(timeout=_WAIT_SECONDS):
        return "the storage has not answered the probe before"
    told: list[str | None] = []
    looking = threading.Thread(target=_look, args=(storage, told), name="ready", daemon=True)
    looking.start()
    looking.join(_ANSWER_SECONDS)
    return told[0] if told else f"the storage has not answered for {_ANSWER_SECONDS:.0f} s"


def _look(storage: Storage, told: list[str | None]) -> None:
    try:
        storage.generation(names.PLACES)
        told.append(None)
    except (StorageError, OSError) as error:
        reason = logs.masked(str(error))[:_LONGEST_REASON]
        told.append(f"the storage cannot be read: {type(error).__name__}: {reason}")
    finally:
        _LOOKING.release()
