"""Processes of this machine by their parents, as `/proc` tells them."""

from pathlib import Path


def children_of(parent: int, containing: str) -> list[int]:
    """Numbers of a process's children whose command line contains a text."""
    processes = (path for path in Path("/proc").iterdir() if path.name.isdigit())
    return sorted(int(path.name) for path in processes if _parent_of(path) == parent and containing in _command(path))


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in use; 0 of one that is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return pages * 4096


def _parent_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except (FileNotFoundError, ProcessLookupError):
        return ""
