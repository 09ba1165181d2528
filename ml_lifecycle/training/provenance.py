"""Which code and which libraries made a network."""

import platform
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("closecast", "keras", "lightgbm", "numpy", "scikit-learn", "tensorflow", "tensorflow-cpu")


def git_commit() -> str | None:
    """The commit of this checkout; None outside one, as in an image."""
    git = shutil.which("git")
    if git is None:
        return None
    root = Path(__file__).parents[2]
    asked = subprocess.run(  # noqa: S603 - a fixed command without any input
        [git, "-C", str(root), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False
    )
    return asked.stdout.strip() or None


def library_versions() -> dict[str, str]:
    """Versions of what the numbers depend on, Python among them; what is not installed is left out."""
    versions = {"python": platform.python_version()}
    for library in LIBRARIES:
        try:
            versions[library] = version(library)
        except PackageNotFoundError:
            continue
    return versions
