"""From a fault to a message: the real app, a real Prometheus with our rules, a real Alertmanager, a webhook of ours."""

import json
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from time import monotonic, sleep
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from tests.app.serving import Server, free_port, serving
from tests.database import migrated_template, temporary_database
from tests.faults.tcp_proxy import TcpProxy
from tests.operations.scaled import write_alertmanager, write_prometheus, write_rules

PROMETHEUS = shutil.which("prometheus")
ALERTMANAGER = shutil.which("alertmanager") or shutil.which("prometheus-alertmanager")
TOKEN = "a-token-of-the-receiver-5d1b"
PATIENCE_SECONDS = 180.0
NOWHERE = Path("/nowhere/.s.PGSQL.5432")


@dataclass
class Webhook:
    """What Alertmanager has sent: ``(alert, status)`` in their order."""

    url: str
    sent: list[tuple[str, str]] = field(default_factory=list)
    alerts: dict[str, dict[str, Any]] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)

    def take(self, message: dict[str, Any], token: str | None) -> None:
        """Keep one message."""
        self.tokens.add(token)
        for alert in message["alerts"]:
            name = alert["labels"]["alertname"]
            self.sent.append((name, alert["status"]))
            self.alerts[name] = alert


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    """A receiver at a port of its own."""
    received = Webhook("")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            """One message of Alertmanager."""
            body = self.rfile.read(int(self.headers["content-length"]))
            received.take(json.loads(body), self.headers["authorization"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing: pytest shows what was received."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        received.url = f"http://127.0.0.1:{server.server_address[1]}/alerts"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield received
        server.shutdown()
        thread.join()


@contextmanager
def running(command: list[str], folder: Path, ready: str) -> Iterator[None]:
    """A program that is ended on leaving; entered once ``ready`` answers."""
    name = Path(command[0]).name
    with (folder / f"{name}.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            wait_until(lambda: process.poll() is not None or answers(ready), f"{name} to be ready")
            assert process.poll() is None, (folder / f"{name}.log").read_text()
            yield
        finally:
            process.kill()


def answers(url: str) -> bool:
    try:
        return httpx.get(url).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(true: Callable[[], bool], what: str) -> None:
    deadline = monotonic() + PATIENCE_SECONDS
    while not true():
        assert monotonic() < deadline, f"waited in vain for {what}"
        sleep(0.1)


class Database:
    """A database behind a proxy; ``is_there`` False: its server has gone."""

    def __init__(self, url: str) -> None:
        self.name = urlsplit(url).path.lstrip("/")
        (folder,) = parse_qs(urlsplit(url).query)["host"]
        self._socket = Path(folder) / ".s.PGSQL.5432"
        self.is_there = True

    def way(self) -> Path:
        """Where a connection is led."""
        return self._socket if self.is_there else NOWHERE


@dataclass
class Scene:
    """All that runs, and a user of the API."""

    api: Server
    database: Database
    proxy: TcpProxy
    headers: dict[str, str]

    def ask(self) -> int:
        """Ask for a forecast that the request itself forbids (422), so that nothing need be stored for it."""
        return self.api.http.get("/predict/AAPL?days_ahead=0", headers=self.headers).status_code

    def lose_database(self) -> None:
        """Its server goes, and with it every connection."""
        self.database.is_there = False
        self.proxy.cut()


@pytest.fixture
def scene(tmp_path: Path, webhook: Webhook) -> Iterator[Scene]:
    """App, Prometheus and Alertmanager, told of each other."""
    if PROMETHEUS is None or ALERTMANAGER is None:
        pytest.skip("prometheus or alertmanager is not installed")
    with temporary_database(migrated_template()) as url:
        database = Database(url)
        with TcpProxy(database.way) as proxy, serving(tmp_path, proxy.database_url(database.name), "api") as api:
            api.wait_until_alive()
            account = {"email": "jane@example.org", "password": "seven green herons wade"}
            assert api.http.post("/auth/register", json=account).status_code == 201
            form = {"username": account["email"], "password": account["password"]}
            token = api.http.post("/auth/token", data=form).json()["access_token"]
            manager, prometheus = (f"127.0.0.1:{free_port()}" for _ in range(2))
            write_rules(tmp_path)
            config = write_prometheus(tmp_path, api=str(api.http.base_url.netloc, "ascii"), alertmanager=manager)
            routes = write_alertmanager(tmp_path, webhook=webhook.url, token=TOKEN)
            with (
                running(
                    [
                        ALERTMANAGER,
                        f"--config.file={routes}",
                        f"--storage.path={tmp_path / 'alerts'}",
                        f"--web.listen-address={manager}",
                        "--cluster.listen-address=",
                    ],
                    tmp_path,
                    f"http://{manager}/-/ready",
                ),
                running(
                    [
                        PROMETHEUS,
                        f"--config.file={config}",
                        f"--storage.tsdb.path={tmp_path / 'series'}",
                        f"--web.listen-address={prometheus}",
                    ],
                    tmp_path,
                    f"http://{prometheus}/-/ready",
                ),
            ):
                yield Scene(api, database, proxy, {"Authorization": f"Bearer {token}"})


def test_a_lost_database_and_a_lost_api_reach_whoever_is_on_call(scene: Scene, webhook: Webhook) -> None:
    """What fails is told while it does, told to be over afterwards, and says which page helps."""
    failing = "ForecastFailuresBurnFast"
    for _ in range(10):
        assert scene.ask() == 422
        sleep(0.2)
    assert (failing, "firing") not in webhook.sent

    scene.lose_database()
    wait_until(lambda: scene.ask() == 503, "the first 503")
    wait_until(lambda: scene.ask() == 503 and (failing, "firing") in webhook.sent, f"{failing}, got {webhook.sent}")
    scene.database.is_there = True
    wait_until(lambda: scene.ask() == 422 and (failing, "resolved") in webhook.sent, f"its end, got {webhook.sent}")

    scene.api.process.kill()
    wait_until(lambda: ("ApiDown", "firing") in webhook.sent, f"ApiDown, got {webhook.sent}")
    assert webhook.alerts["ApiDown"]["labels"]["severity"] == "page"
    assert webhook.alerts[failing]["annotations"]["runbook_url"] == f"docs/runbooks/{failing}.md"
    assert webhook.tokens == {f"Bearer {TOKEN}"}
