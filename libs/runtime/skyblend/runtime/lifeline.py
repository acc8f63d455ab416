"""A child process that ends when its parent does, even by kill -9."""

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1
_LOOK_SECONDS = 0.5


def tie(parent: int) -> None:
    """End this process when `parent` is no longer its parent: at once on Linux, else in half a
    second."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it died before we could ask
        os._exit(1)
    threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()


def _watch(parent: int) -> None:
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(_LOOK_SECONDS)
    os._exit(1)
