"""The command line as a shell sees it: arguments in, exit code and two streams out."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli import console, main
from tests.database import migrated_template, temporary_database


@dataclass(frozen=True)
class Finished:
    """What a command left: its exit code, its result and its remarks."""

    code: int
    out: str
    err: str


Closecast = Callable[..., Finished]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of this test's own, on a path with a space; no setting of the developer's counts."""
    for name in [name for name in os.environ if name.startswith("CLOSECAST_") and name != "CLOSECAST_SHARED"]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)  # away from a developer's .env
    folder = tmp_path / "a home"
    monkeypatch.setenv("CLOSECAST_HOME", str(folder))
    monkeypatch.setenv("CLOSECAST_TRACKING", "false")
    monkeypatch.setenv("COLUMNS", "120")
    return folder


@pytest.fixture
def closecast(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Closecast:
    """Run `closecast ARGUMENTS` in this process, as in a pipe."""
    # Rich reads COLUMNS, which the tests' own workers set, when the module is imported.
    monkeypatch.setattr(console.out, "width", console.WIDTH_WITHOUT_TERMINAL)

    def run(*arguments: str, typed: str = "") -> Finished:
        monkeypatch.setattr(sys, "argv", ["closecast", *arguments])
        reader, writer = os.pipe()
        os.write(writer, typed.encode())
        os.close(writer)
        with os.fdopen(reader) as standard_input:
            monkeypatch.setattr(sys, "stdin", standard_input)
            with pytest.raises(SystemExit) as ended:
                main.run()
        captured = capsys.readouterr()
        code = ended.value.code
        return Finished(code if isinstance(code, int) else 0, captured.out, captured.err)

    return run


@pytest.fixture
def database(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A migrated database that the settings name."""
    with temporary_database(migrated_template()) as url:
        monkeypatch.setenv("CLOSECAST_DATABASE_URL", url)
        yield url


def run_process(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run `closecast ARGUMENTS` as a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "cli", *arguments],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=110,
    )


__all__ = ["Closecast", "Finished", "console", "run_process"]
