"""A bundle is on the disk before it has its name; what dead writers left is swept, what is being written is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.reference import write_reference_bundle
from ml_lifecycle.export.writing import DRAFT, sweep_drafts

# Dies by SIGKILL in the middle of a draft: nothing of it can be tidied up.
DYING = """
import os, signal, sys
from pathlib import Path
from ml_lifecycle.export.reference import write_reference_bundle
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
write_reference_bundle(Path(sys.argv[1]))
"""


def test_every_file_and_folder_is_flushed_before_the_name_is_given_and_the_name_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that names the bundle comes later still: a power cut leaves no row without its files."""
    done: list[str] = []
    flush, rename = os.fsync, Path.rename

    def noted_flush(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        flush(descriptor)

    def noted_rename(old: Path, new: Path) -> Path:
        done.append("renamed")
        return rename(old, new)

    monkeypatch.setattr(os, "fsync", noted_flush)
    monkeypatch.setattr(Path, "rename", noted_rename)

    folder = write_reference_bundle(tmp_path)

    *files, draft, renamed, parent = done
    assert sorted(files) == sorted(file.name for file in folder.iterdir())
    assert (draft, renamed, parent) == (folder.name, "renamed", tmp_path.name)


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    whole = write_reference_bundle(tmp_path)
    (left,) = tmp_path.glob(f"{DRAFT}*")

    assert (killed.returncode, any(left.rglob("*.json"))) == (-9, True)
    assert [sweep_drafts(tmp_path), sweep_drafts(tmp_path)] == [1, 0]
    assert [entry.name for entry in tmp_path.iterdir()] == [whole.name]
    assert load_bundle(whole).bundle_id == whole.name


def test_a_writer_at_work_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often somebody sweeps meanwhile."""
    flush, swept = os.fsync, []

    def swept_flush(descriptor: int) -> None:
        swept.append(sweep_drafts(tmp_path))
        flush(descriptor)

    monkeypatch.setattr(os, "fsync", swept_flush)

    assert load_bundle(write_reference_bundle(tmp_path)).bundle_id
    assert len(swept) > 3
    assert set(swept) == {0}
