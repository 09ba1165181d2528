"""What the examples are tried against: one installation on the sample's bars, one generated client."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.installation import Installation, installed
from tools.client import generate


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """`closecast serve` with its worker, as a process; AAPL, GOOG and IBM are stored, the reference is champion."""
    with installed(tmp_path_factory.mktemp("installation")) as installation:
        yield installation


@pytest.fixture(scope="session")
def client_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project that `make client` writes."""
    folder: Path = tmp_path_factory.mktemp("generated") / "client"
    generate(folder)
    return folder
