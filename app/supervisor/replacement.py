"""A process is replaced without a gap: its successor answers before it is told to end."""

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from app.supervisor.readiness import ReadyPipe

START_SECONDS = 60.0  # a successor that is not ready by then is given up


@dataclass
class Replacement:
    """One process that begins while another still answers.

    ``start`` starts the successor; it is given the descriptor that the successor tells its readiness by.
    """

    start: "Callable[[int], subprocess.Popen[bytes]]"
    _pipe: ReadyPipe = field(default_factory=ReadyPipe, init=False)
    _given_up_at: float = field(init=False)
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self._given_up_at = time.monotonic() + START_SECONDS
        self.process = self.start(self._pipe.writing_end)
        self._pipe.hand_over()

    def state(self) -> Literal["starting", "ready", "failed"]:
        """How far it is; a successor that is given up is killed."""
        heard = self._pipe.heard()
        if heard is None and time.monotonic() < self._given_up_at:
            return "starting"
        if heard:
            self._pipe.close()
            return "ready"
        self.give_up()
        return "failed"

    def give_up(self) -> None:
        """End it before it has taken anything over."""
        self._pipe.close()
        self.process.kill()
        self.process.wait()
