"""A child for the tests: sleeps a while, ends with its supervisor; `deaf`: does not listen to SIGTERM."""

import signal
import sys
import time

from app.supervisor.lifeline import end_with_supervisor

if __name__ == "__main__":
    if "deaf" in sys.argv:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_with_supervisor()
    time.sleep(60)
