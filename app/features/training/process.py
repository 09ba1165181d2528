"""The worker's end of a job's process: starts it, reads what it tells, ends it with all that it started."""

import asyncio
import json
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Self

from app.config import Settings
from app.supervisor.environment import as_environment
from app.supervisor.lifeline import LIFELINE_FD

MODULE = "app.features.training.child"
LONGEST_TOLD = 16 * 1024 * 1024  # bytes of one line: the result of a tuning lists its trials
MOST_WAITING = 2_000  # lines for people that wait for a database that is away; older ones give way
TERM_SECONDS = 3.0  # from the wish that it ends to its end


@dataclass
class Told:
    """What a process told that nobody has fetched yet, and how it ended."""

    lines: deque[str] = field(default_factory=lambda: deque(maxlen=MOST_WAITING))
    progress: Mapping[str, Any] | None = None
    result: dict[str, Any] | None = None
    failure: str | None = None
    heard_at: float = field(default_factory=time.monotonic)  # s

    def hear(self, line: bytes) -> None:
        """Take one line in."""
        self.heard_at = time.monotonic()
        ((kind, content),) = json.loads(line).items()
        if kind == "log":
            self.lines.append(content)
        else:
            setattr(self, kind, content)


class JobProcess:
    """One process, running a job from ``start`` to the end of the block that it is entered for."""

    def __init__(self, process: asyncio.subprocess.Process, lifeline: int) -> None:
        self._process, self._lifeline = process, lifeline
        self.told = Told()
        self._reading = asyncio.create_task(self._read(), name="what a job tells")

    @classmethod
    async def start(cls, settings: Settings, kind: str, spec: Mapping[str, Any]) -> Self:
        """Start it, in a session of its own so that the end reaches all that it starts itself."""
        reading, writing = os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", MODULE),
                env={**os.environ, **as_environment(settings), LIFELINE_FD: str(reading)},
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                limit=LONGEST_TOLD,
                pass_fds=(reading,),
                start_new_session=True,
            )
        except BaseException:
            os.close(writing)
            raise
        finally:
            os.close(reading)
        started = cls(process, writing)
        assert process.stdin is not None  # noqa: S101 (a pipe was asked for)
        process.stdin.write(json.dumps({"kind": kind, "spec": spec}).encode())
        process.stdin.close()
        return started

    @property
    def pid(self) -> int:
        """Its process number."""
        return self._process.pid

    async def ended(self) -> None:
        """Return once it has ended and all that it told is here."""
        await asyncio.shield(self._reading)
        await self._process.wait()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it with all that it started, and wait until it has ended."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(TERM_SECONDS):
                await self._process.wait()
        except TimeoutError:
            pass
        finally:
            self._signal(signal.SIGKILL)  # what it started may have outlived it
            await self._process.wait()
            await self._reading
            os.close(self._lifeline)

    def why_without_result(self) -> str:
        """Why it ended without a result, in words."""
        if self.told.failure is not None:
            return self.told.failure
        code = self._process.returncode or 0
        if code < 0:
            hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
            return f"its process was ended by {signal.Signals(-code).name}{hint}"
        return f"its process ended with exit code {code}; the worker's log says why"

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, number)

    async def _read(self) -> None:
        assert self._process.stdout is not None  # noqa: S101 (a pipe was asked for)
        try:
            while line := await self._process.stdout.readline():
                self.told.hear(line)
        except ValueError as error:  # a line longer than any that is meant, or no JSON
            self.told.result, self.told.failure = None, f"its process told what cannot be read: {error}"
            self._signal(signal.SIGKILL)
