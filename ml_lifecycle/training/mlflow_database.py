"""A new SQLite database for MLflow: whole under its name, or not there."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import unquote

PREFIX = "sqlite:///"


def make_database(uri: str) -> None:
    """Make the database of ``uri`` where that is a file that does not exist.

    MLflow makes its tables in some fifty steps within ten seconds. A process that is ended between two of them would
    leave a file that no later one can go on with.
    """
    if not uri.startswith(PREFIX):
        return
    file = Path(unquote(uri.removeprefix(PREFIX)))
    if file.exists():
        return
    draft = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        _make_tables(draft)
        with suppress(FileExistsError):  # another process was faster
            os.link(draft, file)
    finally:
        draft.unlink(missing_ok=True)
    for left in file.parent.glob(f"{file.name}.*.partial"):
        if not _lives(left):
            left.unlink(missing_ok=True)


def _make_tables(file: Path) -> None:
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    make: Any = SqlAlchemyStore  # its constructor has no types
    make(f"{PREFIX}{file}", file.parent.as_uri()).engine.dispose()


def _lives(draft: Path) -> bool:
    """Whether the process that makes it still runs."""
    try:
        os.kill(int(draft.name.split(".")[-2]), 0)
    except ProcessLookupError:
        return False
    except (PermissionError, ValueError):
        return True
    return True
