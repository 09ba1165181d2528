"""What a training waits for MLflow: ``python -m benchmarks.tracking.run``, about a minute.

A run tells fifty looks at the losses, half a second in all, forty figures and a file, and ends; MLflow is well, away,
failing or silent. Measured is the longest single call, and the end.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ml_lifecycle.training.tracking import Tracker, open_run
from tests.faulty_server import faulty_server

LOOKS, PAUSE_SECONDS = 50, 0.01
TRAINING_SECONDS = 20.0  # of the last two: long enough for MLflow's import, as every training is
FLUSH_SECONDS = 10.0


class Lost(logging.Handler):
    """Keeps what the log says of the last run."""

    def __init__(self) -> None:
        super().__init__()
        self.line = ""

    def emit(self, record: logging.LogRecord) -> None:
        self.line = record.getMessage()


@contextmanager
def places() -> Iterator[list[tuple[str, Tracker | None, float]]]:
    """What MLflow is like, where it is, and how long the training goes on after its last look."""
    with TemporaryDirectory() as folder, faulty_server("fails") as failing, faulty_server("hangs") as silent:
        stored = Tracker(f"sqlite:///{folder}/mlflow.db", Path(folder) / "artifacts", FLUSH_SECONDS)
        away = Tracker("http://127.0.0.1:9", None, FLUSH_SECONDS)
        yield [
            ("off", None, 0.0),
            ("SQLite, new, a training of half a second", stored, 0.0),
            ("SQLite, a training of half a second", stored, 0.0),
            (f"SQLite, a training of {TRAINING_SECONDS:g} s", stored, TRAINING_SECONDS),
            ("a server that is away", away, TRAINING_SECONDS),
            ("a server that answers 500", Tracker(failing.url, None, FLUSH_SECONDS), TRAINING_SECONDS),
            ("a server that never answers", Tracker(silent.url, None, FLUSH_SECONDS), TRAINING_SECONDS),
        ]


def timed(action: Callable[[], object]) -> float:
    """Seconds."""
    started = time.monotonic()
    action()
    return time.monotonic() - started


def measure(tracker: Tracker | None, goes_on_seconds: float, file: Path) -> tuple[float, float]:
    """The longest call and the end, in seconds."""
    run = open_run(tracker, name="benchmark", params={"looks": LOOKS})
    longest = 0.0
    for step in range(LOOKS):
        longest = max(longest, timed(lambda step=step: run.curve(step, train_loss=1 / (step + 1))))
        time.sleep(PAUSE_SECONDS)
    time.sleep(goes_on_seconds)
    longest = max(longest, timed(lambda: run.figures({f"h{number}/pinball": 0.5 for number in range(40)})))
    longest = max(longest, timed(lambda: run.artifact(file)))
    return longest, timed(run.end)


def main() -> None:
    """Print a table in Markdown."""
    lost = Lost()
    logging.getLogger("ml_lifecycle.training.tracking").addHandler(lost)
    print("| MLflow | longest call, ms | end, s | said in the log |\n|---|---|---|---|")
    with places() as trackers, TemporaryDirectory() as folder:
        file = Path(folder) / "report.html"
        file.write_bytes(b"x" * 1_000_000)
        for name, tracker, goes_on in trackers:
            lost.line = ""
            longest, ending = measure(tracker, goes_on, file)
            said = lost.line.partition(": ")[2].partition(":")[0] or "–"
            print(f"| {name} | {1000 * longest:.1f} | {ending:.1f} | {said} |", flush=True)


if __name__ == "__main__":
    main()
