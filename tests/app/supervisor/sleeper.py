"""A child for the tests: sleeps a while, ends with its supervisor.

``deaf``: does not listen to SIGTERM; ``unfit``: ends before it is ready, when it is to replace another.
"""

import os
import signal
import sys
import time

from app.supervisor.lifeline import end_with_supervisor
from app.supervisor.readiness import READY_FD, tell_ready

if __name__ == "__main__":
    if "deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "unfit" in sys.argv and READY_FD in os.environ:
        sys.exit(1)
    end_with_supervisor()
    tell_ready()
    time.sleep(60)
