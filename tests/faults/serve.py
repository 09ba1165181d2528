"""``python -m tests.faults.serve``: `closecast serve` whose children are started again at once however often they die.

They are killed here, every few seconds: the pauses of `closecast serve` are for processes that cannot start.
"""

from app.config import Settings
from app.supervisor import child
from app.supervisor.supervisor import supervised

if __name__ == "__main__":
    child.STEADY_SECONDS = 0.0
    with supervised(Settings()) as supervisor:
        supervisor.start_database()
        supervisor.start_api()
        supervisor.watch()
