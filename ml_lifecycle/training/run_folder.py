"""The folder of a training belongs to one process at a time."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from data_pipeline.errors import ClosecastError

LOCK = ".trained_in"


class RunFolderBusyError(ClosecastError):
    """Another process trains in this folder: wait for its end, or name another with --checkpoint."""

    def __init__(self, folder: Path) -> None:
        super().__init__(f"another training works in {folder}: wait for its end, or name another folder")


@contextmanager
def held_run_folder(folder: Path) -> Iterator[Path]:
    """A folder that nobody else trains in until the end of the block; a process that dies holds it no longer.

    Raises
    ------
    RunFolderBusyError
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RunFolderBusyError(folder) from error
        yield folder
