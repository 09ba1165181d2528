"""An API process as it is deployed: an interpreter of its own, a real socket."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep

import httpx
import pytest

SECRET = "a-test-key-of-3f9c1e77b2d04a68-characters"
START_SECONDS = 180.0


@dataclass
class Server:
    """One API process."""

    process: subprocess.Popen[bytes]
    http: httpx.Client
    log: Path

    def wait_until_alive(self) -> None:
        """Return when it answers."""
        deadline = monotonic() + START_SECONDS
        while monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                if self.http.get("/livez").status_code == 200:
                    return
            except httpx.TransportError:
                sleep(0.1)
        pytest.fail(f"no answer in {START_SECONDS} s: {self.log.read_text()}")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(folder: Path, database_url: str, name: str, **environment: str) -> Iterator[Server]:
    """An API process that is ended on leaving; it logs to ``folder/name.log``."""
    port = free_port()
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("CLOSECAST_")}
    own = {
        "CLOSECAST_HOME": str(folder),
        "CLOSECAST_DATABASE_URL": database_url,
        "CLOSECAST_JWT_SECRET": SECRET,
        "CLOSECAST_PORT": str(port),
    }
    log = folder / f"{name}.log"
    command = [sys.executable, "-m", "app.supervisor.api_process"]
    with (
        log.open("w") as written,
        subprocess.Popen(command, env={**inherited, **own, **environment}, stderr=written) as process,
    ):
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
                yield Server(process, http, log)
        finally:
            process.kill()
