"""The process of a job as it is, with runners that take a moment and not an hour."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.config import Settings
from app.features.training import child, kinds
from app.features.training.kinds import Emit
from data_pipeline.errors import ConfigurationError

MODULE = "tests.app.features.training.quick_child"


def train(settings: Settings, spec: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """Steps that are kept, and go on where they were; then a bundle, written and registered as any.

    What that needs is imported then: most of these jobs do not get so far.
    """
    state = Path(spec["work_dir"]) / "state"
    begun_at = int(state.read_text()) if state.exists() else 0
    for step in range(begun_at, spec["steps"]):
        emit.progress(epoch=step + 1, epochs=spec["steps"], loss=float("nan") if step == 0 else 1.0 / step)
        time.sleep(spec["step_seconds"])
        _keep(state, step + 1)
    from app.features.registry.folders import register

    folder = write_some_bundle(settings.bundles, history_used=spec["history_used"])
    emit.log(f"bundle {folder.name}")
    return {"bundle": register(settings, folder), "begun_at": begun_at}


def _keep(state: Path, step: int) -> None:
    partial = state.with_suffix(".partial")
    partial.write_text(str(step))
    partial.replace(state)


def write_some_bundle(bundles: Path, **fields: Any) -> Path:
    """A bundle that loads, made by the writer that makes all of them."""
    from ml_lifecycle.export.manifest import Manifest
    from ml_lifecycle.export.reference import write_reference_bundle
    from ml_lifecycle.export.writing import write_bundle

    with TemporaryDirectory() as scratch:
        made = write_reference_bundle(Path(scratch))
        contents = {file.name: file.read_bytes() for file in made.iterdir()}
    manifest = Manifest.model_validate(json.loads(contents.pop("manifest.json")) | fields)
    return write_bundle(bundles, contents, manifest)


def misbehave(settings: Settings, spec: Mapping[str, Any], emit: Emit) -> dict[str, Any]:
    """What is asked for in ``spec``."""
    emit.log("begun\0")
    print("what a library prints")  # noqa: T201 (that is the point)
    if spec["how"] == "refuse":
        raise ConfigurationError("the configuration is none")
    if spec["how"] == "crash":
        raise ValueError("a secret of the operator's")
    helper = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    half = settings.bundles / ".writing-half"
    half.mkdir(parents=True)
    (half / "network.onnx").write_bytes(b"half a network")
    emit.progress(helper=helper.pid)
    time.sleep(60)
    return {}


kinds.RUNNERS = {"train": f"{MODULE}:train", "tune": f"{MODULE}:misbehave"}  # type: ignore[misc]  # for this process

if __name__ == "__main__":
    sys.exit(child.main())
