"""Argon2id in a process of its own: ``python -m app.core.hashing_process``, questions on stdin, answers on stdout.

A thread would do, were it not for the interpreter's lock: a thread of low priority that holds it while other processes
have the core keeps the event loop waiting for as long as they have it, and one of high priority takes the core itself.

A question is a line of JSON, ``{"password": …}`` to be hashed, or with ``"hashed"`` (null: of nobody) to be compared;
the answer is a line with the hash, or with true or false, or with ``{"error": …}``. It ends when stdin does.
"""

import json
import os
import signal
import sys
from typing import Any

from passlib.hash import argon2

# OWASP's second choice for Argon2id: 19 MiB and two passes, about 25 ms of one core. Never below; the library's own
# default takes seven times as long, which a flood of sign-ins would multiply.
MEMORY_KIB, PASSES, LANES = 19 * 1024, 2, 1
NICENESS = 10  # Unix's: where both want the same core, answering gets ten times as much of it as hashing


def main() -> None:
    """Answer until stdin ends; signals are meant for who asks."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    hasher = argon2.using(type="ID", memory_cost=MEMORY_KIB, time_cost=PASSES, parallelism=LANES)
    # What an unknown account's password is compared with, so that it takes as long as a known one's.
    nobody = hasher.hash("nobody has this password")
    for line in sys.stdin.buffer:
        sys.stdout.buffer.write(json.dumps(_answer(hasher, nobody, json.loads(line))).encode() + b"\n")
        sys.stdout.buffer.flush()


def _answer(hasher: Any, nobody: str, asked: dict[str, str | None]) -> Any:
    try:
        if "hashed" not in asked:
            return hasher.hash(asked["password"])
        hashed = asked["hashed"]
        matches = hasher.verify(asked["password"], hashed or nobody)
    except (ValueError, TypeError) as error:  # the stored hash is none, say: who asks is told, the process goes on
        return {"error": f"{type(error).__name__}: {error}"}
    return matches and hashed is not None


if __name__ == "__main__":
    main()
