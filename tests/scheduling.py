"""Which tests share a worker of pytest-xdist, and which begin a run.

Files stay whole. Those that train a network go to one worker, so that TensorFlow is imported, and the shared network
trained, once and not once for each worker. What takes longest begins: at the end it would leave a core idle.
"""

from collections.abc import Sequence

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

TRAINING = (
    "tests/ml_lifecycle/training/",
    "tests/ml_lifecycle/models/",
    "tests/ml_lifecycle/export/test_export_model.py",
    "tests/ml_lifecycle/export/test_hostile_bundles.py",
    "tests/ml_lifecycle/evaluation/methods/test_trained_methods.py",
    "tests/ml_lifecycle/evaluation/test_look_ahead_check.py",
    "tests/ml_lifecycle/evaluation/test_report.py",
    "tests/ml_lifecycle/test_commands.py",
    "tests/cli/test_lifecycle.py",
    "tests/cli/test_tune.py",
)
LONG = ("tests/cli/test_demo.py", "tests/faults/")


class FilesOfOneWorker(LoadFileScheduling):
    """Files are units of work, and all files that train are one."""

    def _split_scope(self, nodeid: str) -> str:
        return "training" if nodeid.startswith(TRAINING) else super()._split_scope(nodeid)


def scheduler(config: pytest.Config, log: Producer) -> FilesOfOneWorker | None:
    """How a run with ``--dist loadfile`` hands out its tests; other ways are left as they are."""
    return FilesOfOneWorker(config, log) if config.getoption("dist") == "loadfile" else None


def longest_first(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Trainings, then other long files, then the rest as collected; asks for ``--no-loadscope-reorder``."""

    def place(item: pytest.Item) -> int:
        return 0 if item.nodeid.startswith(TRAINING) else 1 if item.nodeid.startswith(LONG) else 2

    return sorted(items, key=place)
