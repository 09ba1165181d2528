"""A whole installation for the browser: `closecast serve` as a process, with its worker, on the sample's bars."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from typing import Final

import httpx

from tests.app.serving import SECRET, free_port
from tests.database import migrated_template, temporary_database

START_SECONDS: Final = 180.0
STOP_SECONDS: Final = 60.0
PASSWORD: Final = "seven green herons wade"
USER, ADMIN = "ada@example.org", "root@example.org"
STORED: Final = ("AAPL", "GOOG", "IBM")  # of the sample: the others of it are collected when a page asks for them


@dataclass(frozen=True)
class Installation:
    """Where it answers, and the environment of commands that work on it."""

    url: str
    environment: Mapping[str, str]

    def closecast(self, *arguments: str, typed: str | None = None) -> str:
        """What `closecast ARGUMENTS` prints."""
        command = [sys.executable, "-m", "cli", *arguments]
        finished = subprocess.run(
            command, env=self.environment, input=typed, capture_output=True, text=True, check=False
        )
        assert finished.returncode == 0, f"{arguments}: {finished.stderr}"
        return finished.stdout


@contextmanager
def installed(folder: Path, **settings: str) -> Iterator[Installation]:
    """One that runs, with the reference as champion, stored tickers, a user and an administrator; ended on leaving."""
    with temporary_database(migrated_template()) as url:
        port = free_port()
        installation = Installation(f"http://127.0.0.1:{port}", _environment(folder, url, port, settings))
        with (folder / "serve.log").open("w") as log:
            command = [sys.executable, "-m", "cli", "serve"]
            process = subprocess.Popen(command, env=installation.environment, stdout=log, stderr=log)
            try:
                _wait_until_ready(installation, process, folder)
                installation.closecast("collect", *STORED, "--source", "sample")
                installation.closecast("users", "create", USER, typed=f"{PASSWORD}\n")
                installation.closecast("users", "create", ADMIN, "--admin", typed=f"{PASSWORD}\n")
                yield installation
            finally:
                process.terminate()
                process.wait(STOP_SECONDS)


def _environment(folder: Path, database_url: str, port: int, settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLOSECAST_")}
    own = {
        "CLOSECAST_HOME": str(folder / "home"),
        "CLOSECAST_DATABASE_URL": database_url,
        "CLOSECAST_JWT_SECRET": SECRET,
        "CLOSECAST_PORT": str(port),
        "CLOSECAST_SOURCES": '["sample"]',
        "CLOSECAST_SIGN_IN_REQUESTS_PER_MINUTE": "100000",  # each page that is loaded refreshes its session
        "CLOSECAST_TRACKING": "false",
        "CLOSECAST_LOG_LEVEL": "WARNING",
    }
    return {**inherited, **own, **settings}


def _wait_until_ready(installation: Installation, process: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = monotonic() + START_SECONDS
    while monotonic() < deadline:
        assert process.poll() is None, (folder / "serve.log").read_text()
        try:
            if httpx.get(f"{installation.url}/readyz").status_code == httpx.codes.OK:
                return
        except httpx.TransportError:
            sleep(0.2)
    raise TimeoutError((folder / "serve.log").read_text())
