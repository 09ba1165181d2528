"""On the way to MLflow: what is told here is enqueued and nothing more; a process of its own delivers it.

Nothing here waits for MLflow but ``close`` and ``ask``, and those no longer than they are told.
"""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from data_pipeline.errors import ClosecastError

MOST_WAITING = 10_000  # lines, some kilobytes each at most
LOOK_SECONDS = 0.02
LAST_WORDS_SECONDS = 1.0  # for the threads of a process that has ended

# Read in MLflow's code (3.17): either of the first two ends its telemetry, the third a hint for coding agents.
QUIET = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_DISABLE_AGENT_HINT": "true",
    "GIT_PYTHON_REFRESH": "quiet",
}
# One's own values win: MLflow's are two minutes for each of seven tries.
PATIENCE = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "1",
}


class TrackingUnavailableError(ClosecastError):
    """MLflow gave no answer in time, or refused: nothing else depends on it, so repeat later."""


@dataclass(frozen=True)
class Tracker:
    """Where MLflow is.

    Attributes
    ----------
    uri : ``sqlite:///…``, ``postgresql://…`` or a tracking server's ``http://…``; may hold a password.
    artifacts : folder of files that belong to runs; None: a tracking server keeps them.
    flush_seconds : how long the end of a run may take.
    """

    uri: str
    artifacts: Path | None = None
    flush_seconds: float = 10.0

    @property
    def shown(self) -> str:
        """The address without its credentials."""
        scheme, mark, rest = self.uri.partition("://")
        host, slash, path = rest.partition("/")
        return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"

    @property
    def environment(self) -> dict[str, str]:
        """What a process that imports MLflow is to be started with."""
        return {**PATIENCE, **os.environ, **QUIET}


@dataclass(frozen=True)
class Delivered:
    """What became of the lines: those that MLflow took, of how many, and why the first of the others was not."""

    taken: int
    told: int
    reason: str | None

    @property
    def complete(self) -> bool:
        """Whether MLflow took everything."""
        return self.taken == self.told


class Delivery:
    """One process that delivers, and the lines that wait for it."""

    def __init__(self, tracker: Tracker) -> None:
        self._tracker = tracker
        self._waiting: queue.Queue[str | None] = queue.Queue(MOST_WAITING)
        self._told = 0
        self._closed = False
        self._answers: list[dict[str, Any]] = []
        self._trouble: str | None = None
        self._process = self._start()
        self._threads: list[threading.Thread] = []
        if self._process is not None and self._process.stdin is not None and self._process.stdout is not None:
            self._threads = [_thread(self._write, self._process.stdin), _thread(self._read, self._process.stdout)]
            self._put(json.dumps(self._first_line()))

    def send(self, op: str, **arguments: Any) -> None:
        """Enqueue one line: a method of ``mlflow_child.Recorder`` and what it is called with."""
        self._told += 1
        self._put(json.dumps({"op": op, "arguments": arguments}, default=str))

    def close(self, timeout_seconds: float) -> Delivered:
        """Wait until all is delivered, ``timeout_seconds`` at most, then end the process either way."""
        deadline = time.monotonic() + timeout_seconds
        if self._process is not None and not self._closed:
            self._closed = True
            with suppress(queue.Full):
                self._waiting.put(json.dumps({"op": "close", "arguments": {}}), timeout=timeout_seconds)
            while self._process.poll() is None and not self._all_answered and time.monotonic() < deadline:
                time.sleep(LOOK_SECONDS)
            if self._process.poll() is None:
                if not self._all_answered:
                    self._trouble = self._trouble or f"no answer within {timeout_seconds:g} s"
                self._process.kill()  # where all is answered: its own way out takes a second, and does nothing more
                self._process.wait()
            self._waiting.put(None)  # there is room: nobody reads any more, so what waited is thrown away
            for thread in self._threads:
                thread.join(LAST_WORDS_SECONDS)
        return self._delivered()

    @property
    def _all_answered(self) -> bool:
        """Every line that was told, and the one that closes."""
        return len(self._answers) > self._told

    def results(self) -> list[Any]:
        """What the lines were answered with so far, in their order."""
        return [answer["result"] for answer in self._answers]

    def _start(self) -> "subprocess.Popen[str] | None":
        try:
            if self._tracker.artifacts is not None:  # beside them lies the database, where it is a file
                self._tracker.artifacts.mkdir(parents=True, exist_ok=True)
            return subprocess.Popen(
                [sys.executable, "-m", "ml_lifecycle.training.mlflow_child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=self._tracker.environment,
                text=True,
                encoding="utf-8",
                start_new_session=True,  # what ends a training says so by the end of the lines, not by a signal
            )
        except OSError as error:
            self._trouble = f"no process for it: {error.strerror}"
            return None

    def _first_line(self) -> dict[str, Any]:
        artifacts = self._tracker.artifacts
        return {
            "uri": self._tracker.uri,
            "artifacts": None if artifacts is None else artifacts.resolve().as_uri(),
            "grace_seconds": self._tracker.flush_seconds,
        }

    def _put(self, line: str) -> None:
        with suppress(queue.Full):  # it is counted as told and never answered
            self._waiting.put_nowait(line)

    def _write(self, lines: IO[str]) -> None:
        gone = False
        while (line := self._waiting.get()) is not None:
            if not gone:  # else the process ended: what comes is counted as told and never answered
                gone = not _written(lines, f"{line}\n")
        with suppress(OSError):  # closing writes what is left, and finds that out once more
            lines.close()

    def _read(self, answers: IO[str]) -> None:
        with answers:
            for line in answers:
                self._answers.append(json.loads(line))

    def _delivered(self) -> Delivered:
        answers = self._answers[: self._told]
        refused = [answer["error"] for answer in answers if answer["error"] is not None]
        taken = len(answers) - len(refused)
        reason = refused[0] if refused else self._trouble
        return Delivered(taken, self._told, reason if taken < self._told else None)


def ask(tracker: Tracker, op: str, *, timeout_seconds: float, **arguments: Any) -> Any:
    """What MLflow answers to one line.

    Raises
    ------
    TrackingUnavailableError
    """
    delivery = Delivery(tracker)
    delivery.send(op, **arguments)
    delivered = delivery.close(timeout_seconds)
    if not delivered.complete:
        raise TrackingUnavailableError(f"MLflow at {tracker.shown}: {delivered.reason or 'its process ended'}")
    return delivery.results()[0]


def _written(lines: IO[str], line: str) -> bool:
    try:
        lines.write(line)
        lines.flush()
    except OSError:
        return False
    return True


def _thread(target: Callable[[Any], None], pipe: Any) -> threading.Thread:
    thread = threading.Thread(target=target, args=(pipe,), name="mlflow-delivery", daemon=True)
    thread.start()
    return thread
