"""Where the supervisor tells what it did: in the file that its processes write to, where there is one."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import structlog
from structlog.typing import FilteringBoundLogger


@dataclass(frozen=True)
class AppendingLogger:
    """Appends finished lines to a file that others append to as well."""

    file: Path

    def msg(self, line: str) -> None:
        """Write one line, in one piece."""
        with self.file.open("a", encoding="utf-8") as log:
            log.write(f"{line}\n")

    debug = info = warning = error = critical = exception = msg


def event_logger(file: Path | None) -> FilteringBoundLogger:
    """A logger that appends to ``file``, however quiet the terminal is kept; without a file, the configured one."""
    if file is None:
        return cast("FilteringBoundLogger", structlog.get_logger(__name__))
    levels = structlog.make_filtering_bound_logger(logging.INFO)
    return cast("FilteringBoundLogger", structlog.wrap_logger(AppendingLogger(file), wrapper_class=levels))


def tell_restart(
    file: Path | None, *, child: str, exit_status: int | None, pause_seconds: float, restarts: int
) -> None:
    """The one line of every restart; ``exit_status`` is negative for a signal, None where it cannot be known."""
    event_logger(file).warning(
        "child restarts", child=child, exit_status=exit_status, pause_seconds=pause_seconds, restarts=restarts
    )
