"""Bundles that load, made in milliseconds: the reference with another manifest."""

import json
import shutil
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ml_lifecycle.export.canonical_json import canonical_json
from ml_lifecycle.export.manifest import bundle_id
from ml_lifecycle.export.reference import write_reference_bundle


def write_bundle_with(bundles_dir: Path, *, created_at: datetime | None = None, **fields: Any) -> Path:
    """A reference bundle whose manifest says something else in ``fields``; gives its folder."""
    with TemporaryDirectory() as scratch:
        made = write_reference_bundle(Path(scratch))
        manifest = json.loads((made / "manifest.json").read_text()) | fields
        if created_at is not None:
            manifest["created_at"] = created_at.isoformat()
        (made / "manifest.json").write_bytes(canonical_json(manifest))
        folder = bundles_dir / bundle_id(manifest)
        shutil.copytree(made, folder, dirs_exist_ok=True)
        return folder
