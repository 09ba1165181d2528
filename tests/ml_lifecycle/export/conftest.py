"""Bundles that the tests of this folder share."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.writing import write_bundle
from tests.ml_lifecycle.export.handmade import make_contents, make_manifest

_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT
_FORBIDDEN = {
    "os.mkdir",
    "os.rename",
    "os.symlink",
    "os.system",
    "subprocess.Popen",
    "pickle.find_class",
    "socket.connect",
}
_listeners: list[list[str]] = []


def _note(event: str, arguments: tuple[object, ...]) -> None:
    """An audit hook cannot be taken away again, so there is one, and it listens only while someone asks."""
    if not _listeners:
        return
    opened_to_write = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITING
    if opened_to_write or event in _FORBIDDEN:
        _listeners[-1].append(f"{event} {arguments[0]!r}")


sys.addaudithook(_note)


@pytest.fixture
def side_effects(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Files opened for writing, folders made, processes started, pickles read while the test runs."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # Python's own cache of what a loader imports is none of them
    _listeners.append([])
    yield _listeners[-1]
    _listeners.pop()


@pytest.fixture(scope="session")
def network_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The handmade network bundle; not to be changed."""
    contents = make_contents()
    return write_bundle(tmp_path_factory.mktemp("bundles"), contents, make_manifest(contents))


@pytest.fixture(scope="session")
def network_bundle(network_folder: Path) -> Bundle:
    """The handmade network bundle, loaded on ONNX Runtime."""
    return load_bundle(network_folder)


@pytest.fixture(scope="session")
def reference_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """The reference bundle, loaded."""
    return load_bundle(write_reference_bundle(tmp_path_factory.mktemp("reference")))
