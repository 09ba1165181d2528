"""The folder `.closecast/` has one holder, room, and secrets that only their owner reads."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from app.supervisor import home
from app.supervisor.errors import AlreadyRunningError, DiskFullError, ServiceError

HOLD_AND_TELL = """
import sys, time
from pathlib import Path
from app.supervisor import home
with home.hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_holder_is_refused_and_told_who_holds(tmp_path: Path) -> None:
    with (
        home.hold(tmp_path),
        pytest.raises(AlreadyRunningError, match=rf"process {os.getpid()}"),
        home.hold(tmp_path),
    ):
        pass


def test_a_killed_holder_holds_no_longer(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLD_AND_TELL, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(AlreadyRunningError, match=f"process {holder.pid}"), home.hold(tmp_path):
        pass

    holder.kill()
    holder.wait()
    holder.stdout.close()
    with home.hold(tmp_path):
        assert (tmp_path / "lock").read_text() == str(os.getpid())


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(home, "FREE_BYTES_NEEDED", 2**80)
    with pytest.raises(DiskFullError, match=r"MiB free.*are needed"), home.hold(tmp_path):
        pass


def test_a_home_below_a_file_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServiceError, match=r"cannot make .*file"):
        home.make(tmp_path / "file" / "home")


def test_a_secret_is_made_once_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    first = home.kept_secret(path)
    assert len(first) >= 32
    assert home.kept_secret(path) == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_emptied_folder_holds_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_12.db").touch()
    assert list(home.empty(tmp_path / "metrics").iterdir()) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "metrics"]


def test_a_folder_is_emptied_though_somebody_still_writes_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process of a killed supervisor, which has not noticed yet: what cannot be deleted now is deleted next time."""
    (tmp_path / "metrics").mkdir()
    (tmp_path / "metrics" / "counter_12.db").touch()
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *_arguments, **_options: None)
        assert list(home.empty(tmp_path / "metrics").iterdir()) == []

    home.empty(tmp_path / "metrics")
    assert list(tmp_path.iterdir()) == [tmp_path / "metrics"]
