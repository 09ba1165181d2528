"""Writing a bundle: complete under its own name, or not at all."""

import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.folder import MANIFEST
from ml_lifecycle.export.manifest import Manifest, bundle_id


def write_bundle(bundles_dir: Path, contents: Mapping[str, bytes], manifest_fields: Mapping[str, Any]) -> Path:
    """Write the files and a manifest that lists them; gives the folder, named by the bundle's id.

    The files are written to a temporary folder, flushed to disk, and renamed: a bundle that can be seen is whole.
    A bundle that is there already is left as it is.

    Parameters
    ----------
    contents : every file but ``manifest.json``, by name.
    manifest_fields : fields of ``Manifest`` except ``files`` and ``created_at``.
    """
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}
    manifest = Manifest(files=digests, created_at=datetime.now(UTC), **manifest_fields)
    described = manifest.model_dump(mode="json")
    target = bundles_dir / bundle_id(described)
    if not target.exists():
        _write_and_rename(target, {**contents, MANIFEST: canonical_json(described)})
    return target


def _write_and_rename(target: Path, contents: Mapping[str, bytes]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".writing-", dir=target.parent))
    try:
        for name, content in contents.items():
            _write_durably(temporary / name, content)
        temporary.chmod(0o755)
        _flush_folder(temporary)
        _rename_unless_there(temporary, target)
        _flush_folder(target.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _rename_unless_there(temporary: Path, target: Path) -> None:
    """A folder that another writer put there meanwhile has the same name, hence the same content: it stays."""
    try:
        temporary.rename(target)
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
