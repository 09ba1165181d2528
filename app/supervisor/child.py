"""One child process that is started again when it dies, later each time."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from app.supervisor.events import event_logger, tell_restart
from app.supervisor.readiness import READY_FD
from app.supervisor.replacement import Replacement

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
STEADY_SECONDS = 60.0  # a child that lived this long starts again without a pause
RETIRING_SECONDS = 25.0  # for what has begun, in a process that was replaced; longer than the API's own grace


@dataclass
class Child:
    """A Python module run as a process, with the file descriptors it needs.

    It writes to the file ``log``, or where we write; ``on_end`` is told the number of a process that ended by itself.

    Every child gets the reading end of a pipe whose writing end only the supervisor holds: when the supervisor is
    killed, the pipe closes and the child ends itself (`lifeline.py`), so that nobody serves unsupervised.
    """

    name: str
    arguments: Sequence[str]
    environment: Mapping[str, str]
    descriptors: tuple[int, ...]
    log: Path | None = None
    on_end: Callable[[int], None] | None = None
    _process: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _started_at: float = field(default=0.0, init=False)
    _pause_seconds: float = field(default=0.0, init=False)
    _due_at: float = field(default=0.0, init=False)
    _restarts: int = field(default=0, init=False)
    _replacement: Replacement | None = field(default=None, init=False)
    _retiring: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _retired_by: float = field(default=0.0, init=False)

    @property
    def pid(self) -> int | None:
        """Its process number while it lives."""
        return self._process.pid if self._process is not None and self._process.poll() is None else None

    def start(self) -> None:
        """Start it now, in a session of its own: Ctrl-C reaches the supervisor, which passes it on."""
        self._started_at = time.monotonic()
        self._process = self._spawn({})

    def _spawn(self, further: Mapping[str, str], *descriptors: int) -> "subprocess.Popen[bytes]":
        with nullcontext() if self.log is None else self.log.open("ab") as output:
            return subprocess.Popen(  # noqa: S603 (this interpreter, our own modules, no shell)
                [sys.executable, "-m", *self.arguments],
                env={**os.environ, **self.environment, **further},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=(*self.descriptors, *descriptors),
                start_new_session=True,
            )

    @property
    def is_being_replaced(self) -> bool:
        """Whether a successor is starting, or the process before has not ended yet."""
        return self._replacement is not None or self._retiring is not None

    def replace(self) -> None:
        """Start a successor; `keep_alive` lets it take over once it is ready, and has this one end in good order."""
        if not self.is_being_replaced:
            self._replacement = Replacement(lambda ready: self._spawn({READY_FD: str(ready)}, ready))

    def keep_alive(self) -> None:
        """Notice its end and, once the pause is over, start it again. To be called over and over."""
        if self._replacement is not None:
            self._look_at(self._replacement)
        if self._retiring is not None:
            self._let_retire(self._retiring)
        if self.pid is not None:
            return
        now = time.monotonic()
        if self._process is not None:
            self._note_end(now)
        if now >= self._due_at:
            self.start()

    def _note_end(self, now: float) -> None:
        assert self._process is not None  # noqa: S101 (tells the type checker what keep_alive has seen)
        if now - self._started_at >= STEADY_SECONDS:
            self._pause_seconds = 0.0
        self._due_at = now + self._pause_seconds
        self._restarts += 1
        tell_restart(
            self.log,
            child=self.name,
            exit_status=self._process.returncode,
            pause_seconds=self._pause_seconds,
            restarts=self._restarts,
        )
        if self.on_end is not None:
            self.on_end(self._process.pid)
        self._pause_seconds = min(max(2 * self._pause_seconds, FIRST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        self._process = None

    def _look_at(self, replacement: Replacement) -> None:
        state = replacement.state()
        if state == "starting":
            return
        self._replacement = None
        if state == "failed":
            event_logger(self.log).error("a successor did not get ready, the former process stays", child=self.name)
            return
        self._retiring, self._process = self._process, replacement.process
        self._started_at, self._retired_by = time.monotonic(), time.monotonic() + RETIRING_SECONDS
        if self._retiring is not None:
            self._retiring.terminate()

    def _let_retire(self, retiring: "subprocess.Popen[bytes]") -> None:
        if retiring.poll() is None:
            if time.monotonic() > self._retired_by:
                retiring.kill()
            return
        self._retiring = None
        if self.on_end is not None:
            self.on_end(retiring.pid)

    def terminate(self) -> None:
        """Ask it to finish what it is at and to end; a successor that is not ready yet is killed."""
        if self._replacement is not None:
            self._replacement.give_up()
            self._replacement = None
        if self.pid is not None and self._process is not None:
            self._process.terminate()

    def wait(self, deadline: float) -> None:
        """Wait for its end, and for that of one it replaced; past ``deadline`` (monotonic seconds) it is killed."""
        for process in (self._retiring, self._process):
            if process is not None:
                self._wait(process, deadline)
        self._retiring = self._process = None

    def _wait(self, process: "subprocess.Popen[bytes]", deadline: float) -> None:
        try:
            process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            event_logger(self.log).warning("child did not end in time and is killed", child=self.name)
            process.kill()
            process.wait()
