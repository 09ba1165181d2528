"""Files that a command is to write."""

from __future__ import annotations

from typing import TYPE_CHECKING

from data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path


def require_free(file: Path, *, force: bool) -> None:
    """Let a file that is there stay, unless it is said that it may go.

    Raises
    ------
    ConfigurationError : it is there.
    """
    if not force and file.exists():
        raise ConfigurationError(f"{file} is there already: give another name, or --force to replace it")
