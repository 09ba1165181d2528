"""The process that one job runs in: its work on standard input, what it tells on standard output, a line of JSON each.

A process of its own can be ended at any time, gives its memory back, and takes nobody along when it is killed.
"""

import fcntl
import json
import logging
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TextIO

from app.config import Settings
from app.features.training.kinds import runner_of
from app.supervisor.lifeline import LIFELINE_FD
from data_pipeline.errors import ClosecastError
from data_pipeline.processing.own_columns import allow

OWN_LOGGERS = ("app", "data_pipeline", "ml_lifecycle")
LONGEST_LINE = 2_000  # characters of one line for people
MOST_LINES = 10_000  # of one attempt
HELD = ".held"  # locked by whoever works in the folder
WAIT_SECONDS = 30.0  # for a former attempt whose worker is dead: it ends itself


class FolderHeldError(ClosecastError):
    """Another process still works on this job: it ends itself when its worker is gone."""


class LineEmit:
    """An ``Emit`` that writes lines of JSON."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._writing = threading.Lock()
        self._lines = 0

    def progress(self, **values: Any) -> None:
        """See ``Emit``."""
        self.tell("progress", values)

    def log(self, text: str) -> None:
        """See ``Emit``."""
        self._lines += 1
        if self._lines <= MOST_LINES:
            self.tell("log", text[:LONGEST_LINE])

    def tell(self, kind: str, content: Any) -> None:
        """Write one line."""
        line = json.dumps({kind: plain(content)}, default=str, allow_nan=False)
        with self._writing:
            self._stream.write(line + "\n")
            self._stream.flush()


def plain(value: Any) -> Any:
    """What PostgreSQL's JSON can hold: no NaN, no infinity, no NUL.

    >>> plain({"loss": float("nan"), "name": "a\\0b", "losses": (1.0, float("inf"))})
    {'loss': None, 'name': 'ab', 'losses': [1.0, None]}
    """
    if isinstance(value, Real) and not isinstance(value, Integral):  # NumPy's are some too
        return float(value) if math.isfinite(value) else None
    if isinstance(value, str):
        return value.replace("\0", "")
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return int(value) if isinstance(value, Integral) and not isinstance(value, bool) else value


class _OwnLog(logging.Handler):
    """What our own modules log is for the job's owner too; whatever libraries say stays with the operator."""

    def __init__(self, emit: LineEmit) -> None:
        super().__init__(logging.INFO)
        self._emit = emit

    def emit(self, record: logging.LogRecord) -> None:
        self._emit.log(record.getMessage())


def work(told: Mapping[str, Any], emit: LineEmit) -> int:
    """Run a job and tell its result, or the reason why there is none; gives the exit code.

    Anything unforeseen travels up: its trace is for the operator's eyes.
    """
    settings = Settings()
    allow(settings.columns)
    try:
        hold(Path(told["spec"]["work_dir"]))
        result = runner_of(told["kind"])(settings, told["spec"], emit)
    except ClosecastError as error:
        emit.tell("failure", str(error))
        return 1
    emit.tell("result", result)
    return 0


def hold(folder: Path) -> None:
    """Keep ``folder`` to this process for as long as it lives.

    Raises
    ------
    FolderHeldError : another process has it and does not end.
    """
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder / HELD, os.O_RDWR | os.O_CREAT, 0o600)  # never closed: the lock ends with the process
    deadline = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(0.2)
    os.close(descriptor)
    raise FolderHeldError("a former attempt at this job has not ended")


def end_with_worker() -> None:
    """End this process and all that it started when the worker is gone, even where that was killed without a word."""
    descriptor = int(os.environ.pop(LIFELINE_FD))
    threading.Thread(target=_watch, args=(descriptor,), name="lifeline", daemon=True).start()


def _watch(descriptor: int) -> None:
    os.read(descriptor, 1)  # nothing is ever written: it returns when the last writer is gone
    os.killpg(os.getpgrp(), signal.SIGKILL)  # a group of our own: the worker starts us in a session


def _take_standard_output() -> TextIO:
    """Standard output for what is told; whatever else would be printed there goes to standard error."""
    told = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return told


def main() -> int:
    """Run the job that standard input tells."""
    emit = LineEmit(_take_standard_output())
    end_with_worker()
    for name in OWN_LOGGERS:
        logger = logging.getLogger(name)
        logger.setLevel(logging.INFO)
        logger.addHandler(_OwnLog(emit))
    told = sys.stdin.read()
    return work(json.loads(told), emit) if told else 1  # else the worker was killed before it could tell


if __name__ == "__main__":
    sys.exit(main())
