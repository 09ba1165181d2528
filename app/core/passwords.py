"""Passwords: hashed by Argon2id, off the event loop and outside this process, by few processes at a time."""

import asyncio
import atexit
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from app.core.problems import problem
from data_pipeline.errors import ClosecastError

MOST_WAITING = 32  # of them, the last waits about a second
END_SECONDS = 5.0  # for a hash that is under way when this process ends


@problem(HTTPStatus.SERVICE_UNAVAILABLE, "sign-in-busy", example="too many sign-ins at once, repeat shortly")
class HashingBusyError(ClosecastError):
    """So many passwords are being checked that this one would wait too long: repeat shortly."""

    retry_after_seconds = 1.0

    def __init__(self) -> None:
        super().__init__("too many sign-ins at once, repeat shortly")


class PasswordHasher:
    """Hashes and verifies in processes that stand back: a flood of sign-ins costs ``at_once`` cores at most.

    A process is started with the first password, and kept for whichever hasher of this process asks next.
    """

    def __init__(self, at_once: int = 1) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="password")  # each waits for one process
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Passwords that are being hashed or wait for it."""
        return self._waiting

    async def hash(self, password: str) -> str:
        """An Argon2id hash with its own salt, in PHC format."""
        hashed: str = await self._ask({"password": password})
        return hashed

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether ``password`` made ``hashed``; None (no such account) takes as long and is False."""
        matches: bool = await self._ask({"password": password, "hashed": hashed})
        return matches

    def refuse_when_busy(self) -> None:
        """Raise HashingBusyError now where a password would be refused anyway: nothing else need be done before."""
        if self._waiting >= MOST_WAITING:
            raise HashingBusyError

    async def _ask(self, question: dict[str, str | None]) -> Any:
        self.refuse_when_busy()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, _ask, question)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads end; hashes that wait are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


Process = subprocess.Popen[bytes]

_idle: list[Process] = []


def _ask(question: dict[str, str | None]) -> Any:
    """One question to a process that has none; one that was killed is replaced.

    Raises
    ------
    ValueError : the stored hash is none.
    """
    line = json.dumps(question).encode() + b"\n"
    while (process := _from_idle()) is not None:
        try:
            return _exchange(process, line)
        except OSError:
            _end(process)
    process = _started()
    try:
        return _exchange(process, line)
    except OSError:  # killed while it worked, where memory is short: whoever asked is told, nobody else waits for it
        _end(process)
        raise


def _from_idle() -> Process | None:
    try:
        return _idle.pop()
    except IndexError:
        return None


def _exchange(process: Process, line: bytes) -> Any:
    assert process.stdin is not None  # noqa: S101 (tells the type checker what `_started` asked for)
    assert process.stdout is not None  # noqa: S101 (as above)
    process.stdin.write(line)
    process.stdin.flush()
    told = process.stdout.readline()
    if not told:
        raise BrokenPipeError("the process that hashes passwords has ended")
    answer = json.loads(told)
    _idle.append(process)
    error = answer.get("error") if isinstance(answer, dict) else None
    if error is not None:
        raise ValueError(error)
    return answer


def _started() -> Process:
    command = [sys.executable, "-m", "app.core.hashing_process"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)  # noqa: S603 (our own module)


def _end(process: Process) -> None:
    """Close its stdin, which ends it; also where it has ended already."""
    try:
        process.communicate(timeout=END_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        process.kill()
        process.wait()


@atexit.register
def _end_all() -> None:
    while (process := _from_idle()) is not None:
        _end(process)
