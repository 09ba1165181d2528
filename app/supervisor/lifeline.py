"""A child ends when its supervisor is gone, even when that was killed without a word."""

import os
import signal
import threading

LIFELINE_FD = "CLOSECAST_LIFELINE_FD"


def end_with_supervisor() -> None:
    """Watch the pipe that the supervisor holds open, where there is one; ask ourselves to stop when it closes."""
    descriptor = os.environ.pop(LIFELINE_FD, None)
    if descriptor is not None:
        threading.Thread(target=_watch, args=(int(descriptor),), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written: it returns when the last writer is gone
    os.kill(os.getpid(), signal.SIGTERM)
