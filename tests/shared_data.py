"""Real bars and recorded answers that lie beside the project on some machines; tests that need them say so."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CLOSECAST_SHARED", Path(__file__).parents[2] / "shared"))


def shared_file(name: str) -> Path:
    """Path of ``name`` (``data/us_core_2004_2026.parquet``); skips the test where it is absent."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not there: set CLOSECAST_SHARED to the folder that holds it")
    return path
