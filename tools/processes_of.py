#!/usr/bin/env python3
"""Names the processes that a demo left behind: `python tools/processes_of.py HOME`; exit code 1 where there are any.

PostgreSQL names its folder as an argument, the API and the worker in their environment. Linux only: it reads /proc.
"""

import os
import sys
from pathlib import Path


def processes_of(home: Path | str) -> list[str]:
    """Number and arguments of each process that belongs to ``home``, our own and its parents left out."""
    wanted, ours = os.fsencode(home), _ancestors(os.getpid())
    numbers = [path for path in Path("/proc").iterdir() if path.name.isdigit() and int(path.name) not in ours]
    return [f"{path.name} {arguments}" for path in numbers if (arguments := _arguments_if_of(path, wanted)) is not None]


def _ancestors(pid: int) -> set[int]:
    """``pid`` and its parents: the caller's own shell has the home in its environment, too."""
    found = {pid}
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        found.add(pid)
    return found


def _arguments_if_of(process: Path, home: bytes) -> str | None:
    """A process's arguments if they or its environment hold ``home``; None for somebody else's, or one that ended."""
    try:
        arguments = (process / "cmdline").read_bytes()
        belongs = home in arguments or home in (process / "environ").read_bytes()
    except OSError:
        return None
    return arguments.replace(b"\0", b" ").decode(errors="replace").strip() if belongs else None


if __name__ == "__main__":
    left = processes_of(sys.argv[1])
    for process in left:
        print(f"still running: {process}")
    sys.exit(1 if left else 0)
