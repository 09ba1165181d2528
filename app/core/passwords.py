"""Passwords: hashed by Argon2id, off the event loop, by few threads at a time."""

import asyncio
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any

from passlib.hash import argon2

from app.core.problems import problem
from data_pipeline.errors import ClosecastError

# OWASP's second choice for Argon2id: 19 MiB and two passes, about 25 ms of one core. Never below; the library's own
# default takes seven times as long, which a flood of sign-ins would multiply.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
MOST_WAITING = 32  # of them, the last waits about a second
NICENESS = 10  # Unix's: where both want the same core, answering gets ten times as much of it as hashing


@problem(HTTPStatus.SERVICE_UNAVAILABLE, "sign-in-busy", example="too many sign-ins at once, repeat shortly")
class HashingBusyError(ClosecastError):
    """So many passwords are being checked that this one would wait too long: repeat shortly."""

    retry_after_seconds = 1.0

    def __init__(self) -> None:
        super().__init__("too many sign-ins at once, repeat shortly")


class PasswordHasher:
    """Hashes and verifies in a pool of its own: a flood of sign-ins costs ``threads`` cores at most.

    Argon2 leaves the interpreter's lock alone while it works, so the event loop runs on.
    """

    def __init__(self, threads: int = 1) -> None:
        self._argon2 = argon2.using(type="ID", memory_cost=MEMORY_KIB, time_cost=PASSES, parallelism=LANES)
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="password", initializer=_stand_back)
        self._waiting = 0
        # What an unknown account's password is compared with, so that it takes as long as a known one's.
        self._nobody: str = self._argon2.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """An Argon2id hash with its own salt, in PHC format."""
        hashed: str = await self._run(self._argon2.hash, password)
        return hashed

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether ``password`` made ``hashed``; None (no such account) takes as long and is False."""
        matches: bool = await self._run(self._argon2.verify, password, hashed or self._nobody)
        return matches and hashed is not None

    def refuse_when_busy(self) -> None:
        """Raise HashingBusyError now where a password would be refused anyway: nothing else need be done before."""
        if self._waiting >= MOST_WAITING:
            raise HashingBusyError

    async def _run(self, function: Any, *arguments: str) -> Any:
        self.refuse_when_busy()
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function, *arguments)
        finally:
            self._waiting -= 1

    def close(self) -> None:
        """Let the threads end; hashes that wait are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _stand_back() -> None:
    """Let the thread that calls this have a core only when the others leave it one; of Linux, which knows threads."""
    if sys.platform == "linux":
        os.nice(NICENESS)
