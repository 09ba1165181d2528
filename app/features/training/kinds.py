"""Which function runs a job of which kind. It is imported in the job's own process only: it brings TensorFlow.

A kind is added by its line here and its runner; the row of a job names the kind (``app.models.training_job.JobKind``).
"""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any, Final, Protocol

from app.config import Settings


class Emit(Protocol):
    """How a runner tells what it is at; what it tells reaches the job's row, its events, and who watches them."""

    def progress(self, **values: Any) -> None:
        """Numbers and short texts that JSON can tell; each call replaces what was told before."""

    def log(self, text: str) -> None:
        """One line for people."""


Runner = Callable[[Settings, Mapping[str, Any], Emit], dict[str, Any]]
"""``run(settings, spec, emit) -> result``.

``spec`` is the job's own with ``job_id`` and ``work_dir`` (text): a folder that is the job's alone, stays from one
attempt to the next, and is deleted at its end. The result is what JSON can tell. A ``ClosecastError`` fails the job
with its message as the reason.
"""

RUNNERS: Final[Mapping[str, str]] = {
    "train": "app.features.training.run_train:run",
    "update": "app.features.training.run_update:run",
    "tune": "app.features.training.run_tune:run",
    "drift": "app.features.drift.run_drift:run",
}


def runner_of(kind: str) -> Runner:
    """Import the runner of a kind."""
    module, _, name = RUNNERS[kind].partition(":")
    runner: Runner = getattr(import_module(module), name)
    return runner
