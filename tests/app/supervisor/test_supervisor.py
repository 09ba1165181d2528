"""`closecast serve` as a whole: real processes; tests/faults kills the API's amid requests."""

import errno
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr

from app.config import Settings
from app.supervisor.child import Child
from app.supervisor.listening import listen
from app.supervisor.postgres import EmbeddedPostgres
from app.supervisor.supervisor import Supervisor
from tests.app.serving import SECRET, free_port

PASSWORD = "seven green herons wade"


@dataclass
class Serving:
    """A running `closecast serve`."""

    process: "subprocess.Popen[bytes]"
    home: Path
    port: int

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.port}"

    def children(self, module: str) -> list[int]:
        """Numbers of its processes of one kind."""
        processes = [path for path in Path("/proc").iterdir() if path.name.isdigit()]
        return [
            int(path.name) for path in processes if parent_of(path) == self.process.pid and module in arguments_of(path)
        ]

    def is_ready(self) -> bool:
        """What `/readyz` says."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False


def parent_of(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rsplit(")", 1)[1].split()[1])
    except FileNotFoundError:
        return 0


def arguments_of(process: Path) -> str:
    try:
        return (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
    except FileNotFoundError:
        return ""


def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def start(home: Path) -> Serving:
    """Start `closecast serve` on ``home`` and wait until it is ready."""
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("CLOSECAST_")},
        "CLOSECAST_HOME": str(home),
        "CLOSECAST_PORT": str(port),
        "CLOSECAST_JWT_SECRET": SECRET,
        "CLOSECAST_LOG_LEVEL": "ERROR",
        "CLOSECAST_LOG_REQUESTS": "false",
        "CLOSECAST_SOURCES": '["sample"]',
    }
    with (home.parent / "serve.log").open("ab") as log:
        process = subprocess.Popen([sys.executable, "-m", "cli", "serve"], env=environment, stdout=log, stderr=log)
    serving = Serving(process, home, port)
    try:
        wait_until(serving.is_ready)
    except AssertionError:
        process.kill()
        process.wait()
        raise
    return serving


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the `closecast serve` of most tests lives; those that end theirs have one of their own."""
    return tmp_path_factory.mktemp("serve") / "a home"


@pytest.fixture(scope="module")
def serving(home: Path) -> Iterator[Serving]:
    """A running `closecast serve` for the tests that leave it running."""
    started = start(home)
    try:
        yield started
    finally:
        started.process.terminate()
        started.process.wait(60)


@pytest.fixture(scope="module")
def token(serving: Serving) -> str:
    """A user's access token."""
    account = {"email": "jane@example.org", "password": PASSWORD}
    httpx.post(f"{serving.url}/auth/register", json=account)
    form = {"username": account["email"], "password": PASSWORD}
    answer: dict[str, str] = httpx.post(f"{serving.url}/auth/token", data=form).json()
    return answer["access_token"]


def test_what_the_worker_counts_is_in_the_api_s_metrics(serving: Serving, token: str) -> None:
    """Only the worker asks a source; it serves no metrics of its own here."""
    headers = {"Authorization": f"Bearer {token}"}
    assert httpx.get(f"{serving.url}/predict/NONE", headers=headers, timeout=60).status_code == 404

    told = httpx.get(f"{serving.url}/metrics").text.splitlines()

    assert 'closecast_source_errors_total{cause="unknown_ticker"} 1.0' in told


def test_a_killed_postgresql_is_started_again(serving: Serving) -> None:
    postmaster = EmbeddedPostgres(serving.home / "postgres").postmaster()
    assert postmaster is not None
    os.kill(postmaster.pid, signal.SIGKILL)
    wait_until(lambda: not serving.is_ready())
    wait_until(serving.is_ready)


def test_a_second_serve_on_the_same_home_is_refused(serving: Serving) -> None:
    environment = {
        **os.environ,
        "CLOSECAST_HOME": str(serving.home),
        "CLOSECAST_JWT_SECRET": SECRET,
    }
    command = [sys.executable, "-m", "cli", "serve"]
    refused = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert refused.returncode == 6
    assert f"process {serving.process.pid}" in refused.stderr


def test_a_worker_gives_heartbeats(serving: Serving) -> None:
    environment = {**os.environ, "CLOSECAST_HOME": str(serving.home)}
    command = [sys.executable, "-m", "cli", "worker", "--check"]
    wait_until(lambda: bool(serving.children("worker_process")))

    def is_alive() -> bool:
        checked = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
        assert checked.returncode == 0 or "heartbeat" in checked.stderr, checked.stderr
        return checked.returncode == 0

    wait_until(is_alive)


def gone(processes: list[int]) -> bool:
    """Whether none of them runs any more."""
    return not any(arguments_of(Path(f"/proc/{pid}")) for pid in processes)


def test_after_a_killed_supervisor_the_next_adopts_the_database_and_ends_in_order(tmp_path: Path) -> None:
    """The children of the killed one end by themselves; PostgreSQL stays, and with it what is being written."""
    killed = start(tmp_path / "home")
    children = killed.children("app.supervisor")
    orphan = EmbeddedPostgres(killed.home / "postgres").postmaster()
    assert len(children) == 2
    assert orphan is not None
    killed.process.kill()
    killed.process.wait()
    wait_until(lambda: gone(children))

    successor = start(killed.home)
    children = successor.children("app.supervisor")
    adopted = EmbeddedPostgres(killed.home / "postgres").postmaster()
    successor.process.terminate()

    assert adopted == orphan
    assert successor.process.wait(60) == 0
    assert gone([*children, orphan.pid])


def test_at_the_end_nobody_is_kept_waiting_at_a_port_that_nobody_answers(tmp_path: Path) -> None:
    """The processes close their copies of the socket first thing; a connection made after that is refused at once."""
    port = free_port()
    settings = Settings(_env_file=None, home=tmp_path, port=port, database_url=SecretStr("postgresql://nobody@x/y"))
    supervisor = Supervisor(settings)
    listening = listen("127.0.0.1", port)
    refused: list[int] = []

    class Leaving(Child):
        def wait(self, deadline: float) -> None:  # noqa: ARG002 (the port is looked at, not the clock)
            """What has begun is finished meanwhile, for seconds."""
            with socket.socket() as client:
                refused.append(client.connect_ex(("127.0.0.1", port)))

    child = Leaving("leaves", [], {}, ())
    supervisor._socket, supervisor._children = listening, [child]

    supervisor.stop()

    assert refused == [errno.ECONNREFUSED]
