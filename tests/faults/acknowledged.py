"""What was answered, in a file of its own: a line counts once it is on the disk."""

import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Acknowledged:
    """One request that was answered with 200; ``keyed``: it was repeated under one key until it was."""

    request_id: str
    forecast_id: str
    keyed: bool


class AcknowledgedFile:
    """Appends lines; each is on the disk when ``add`` returns."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._file.close()

    def add(self, answered: Acknowledged) -> None:
        """Write one line and wait for the disk."""
        self._file.write(json.dumps(asdict(answered)).encode() + b"\n")
        os.fsync(self._file.fileno())


def read_acknowledged(path: Path) -> Iterator[Acknowledged]:
    """The lines of one file."""
    with path.open() as file:
        for line in file:
            yield Acknowledged(**json.loads(line))
