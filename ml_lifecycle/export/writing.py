"""Writing a bundle: complete under its own name, or not at all."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.folder import MANIFEST
from ml_lifecycle.export.manifest import Manifest, bundle_id

DRAFT = ".writing-"  # what the names of temporary folders begin with


def write_bundle(bundles_dir: Path, contents: Mapping[str, bytes], manifest: Manifest) -> Path:
    """Write the files and a manifest that lists them; gives the folder, named by the bundle's id.

    The files are written to a temporary folder, flushed to disk, loaded once, and renamed: a bundle that can be seen
    is whole and loads. One that is there already stays as it is, unless it no longer loads.

    Parameters
    ----------
    contents : every file but ``manifest.json``, by name.
    manifest : what to say about them; its ``files`` are filled in here.

    Raises
    ------
    BundleRefusedError : what was to be written would not be loaded either; nothing is left behind.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    described = manifest.model_copy(update={"files": digests}).model_dump(mode="json")
    target = bundles_dir / bundle_id(described)
    if not _loads(target):
        _write_and_rename(target, {**contents, MANIFEST: canonical_json(described)})
    return target


def _loads(folder: Path) -> bool:
    try:
        load_bundle(folder)
    except BundleRefusedError:
        return False
    return True


def _write_and_rename(target: Path, contents: Mapping[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with _temporary_folder(target.parent) as temporary:
        draft = temporary / target.name
        draft.mkdir()
        for name, content in contents.items():
            _write_durably(draft / name, content)
        _flush_folder(draft)
        load_bundle(draft)
        if target.exists() or target.is_symlink():
            target.rename(temporary / "damaged")
        _rename_unless_there(draft, target)
        _flush_folder(target.parent)


def sweep_drafts(bundles_dir: Path) -> int:
    """Delete the temporary folders of writers that were killed; gives their number. Those at work are left alone."""
    return sum(_swept(folder) for folder in bundles_dir.glob(f"{DRAFT}*"))


def _swept(folder: Path) -> bool:
    try:
        descriptor = _lock(folder, wait=False)
    except (FileNotFoundError, BlockingIOError):
        return False
    try:
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(descriptor)
    return True


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder that is deleted at the end, and that nobody takes for a dead writer's until then."""
    folder, descriptor = _locked_folder(parent)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _locked_folder(parent: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=DRAFT, dir=parent))
        with suppress(FileNotFoundError):  # swept before it was locked
            descriptor = _lock(folder, wait=True)
            if folder.exists():
                return folder, descriptor
            os.close(descriptor)


def _lock(folder: Path, *, wait: bool) -> int:
    """Lock a folder and give its descriptor, with whose end, or its process's, the lock goes.

    Raises
    ------
    BlockingIOError : another process holds it.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _rename_unless_there(draft: Path, target: Path) -> None:
    """A folder that another writer put there meanwhile has the same name, hence the same content: it stays."""
    try:
        draft.rename(target)
    except OSError:
        if not target.is_dir():
            raise


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
