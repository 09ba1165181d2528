#!/usr/bin/env python3
"""Names the processes that a demo left behind: `python tools/processes_of.py HOME`; exit code 1 where there are any.

PostgreSQL names its folder as an argument, the API and the worker in their environment. Linux only: it reads /proc.
"""

import os
import sys
from pathlib import Path


def ancestors(pid: int) -> set[int]:
    """``pid`` and its parents: the caller's own shell has the home in its environment, too."""
    found = {pid}
    while pid > 1:
        pid = int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
        found.add(pid)
    return found


def names(process: Path, home: bytes) -> bool:
    """Whether arguments or environment hold ``home``; a process of somebody else's, or one that ended, does not."""
    try:
        return home in (process / "cmdline").read_bytes() or home in (process / "environ").read_bytes()
    except OSError:
        return False


if __name__ == "__main__":
    home, ours = os.fsencode(sys.argv[1]), ancestors(os.getpid())
    numbers = [path for path in Path("/proc").iterdir() if path.name.isdigit() and int(path.name) not in ours]
    left = [path for path in numbers if names(path, home)]
    for path in left:
        print(f"still running: {path.name} {(path / 'cmdline').read_bytes().replace(bytes(1), b' ').decode()}")  # noqa: T201 (its result)
    sys.exit(1 if left else 0)
