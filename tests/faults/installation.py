"""A whole installation that may be broken: PostgreSQL that is started again, a proxy before it, API processes."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx
from pydantic import SecretStr

from app.config import Settings
from app.features.market_data.service import publish_windows
from app.supervisor.errors import ServiceError
from app.supervisor.one_session import one_session
from app.supervisor.postgres import DATABASE, EmbeddedPostgres
from tests.app.serving import SECRET, free_port
from tests.app.windows import make_window
from tests.faults.processes import children_of
from tests.faults.tcp_proxy import TcpProxy, way_to

START_SECONDS = 120.0
EMAIL, PASSWORD = "jane@example.org", "seven green herons wade"


@dataclass
class KeptPostgres:
    """An embedded PostgreSQL that is started again whenever it dies."""

    server: EmbeddedPostgres
    starts: int = 0
    _leaving: threading.Event = field(default_factory=threading.Event)

    def keep(self) -> None:
        """Watch it until ``leave``."""
        while not self._leaving.wait(0.05):
            if not self.server.is_running():
                self._start()

    def leave(self) -> None:
        """Watch it no more."""
        self._leaving.set()

    def _start(self) -> None:
        try:
            self.server.start()
        except (ServiceError, OSError):
            return  # it was killed while it recovered, or what it left behind is in the way: again in a moment
        self.starts += 1


@dataclass
class Installation:
    """What runs; ``api`` is the supervisor's process."""

    postgres: KeptPostgres
    proxy: TcpProxy
    api: "subprocess.Popen[bytes]"
    port: int
    home: Path
    token: str = ""

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://127.0.0.1:{self.port}"

    def api_processes(self) -> list[int]:
        """Numbers of the API processes that live."""
        return children_of(self.api.pid, "app.supervisor.api_process")

    def is_ready(self) -> bool:
        """What `/readyz` says."""
        try:
            return httpx.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except httpx.TransportError:
            return False

    def wait_until_ready(self) -> None:
        """Return when forecasts can be answered."""
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready():
            if self.api.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the API does not get ready: {(self.home / 'serve.log').read_text()[-2000:]}")
            time.sleep(0.1)


@contextmanager
def installed(folder: Path, *, workers: int, tickers: Sequence[str], **environment: str) -> Iterator[Installation]:
    """An installation with stored bars of these tickers and a signed-in user; everything ends with the block."""
    with ExitStack() as stack:
        postgres = stack.enter_context(_kept_postgres(folder / "postgres"))
        proxy = stack.enter_context(TcpProxy(lambda: way_to(postgres.server)))
        home = folder / "home"
        port = free_port()
        own = {
            "CLOSECAST_HOME": str(home),
            "CLOSECAST_DATABASE_URL": proxy.database_url(DATABASE),
            "CLOSECAST_PORT": str(port),
            "CLOSECAST_WORKERS": str(workers),
            "CLOSECAST_JWT_SECRET": SECRET,
            "CLOSECAST_ACCESS_TOKEN_MINUTES": "600",
            "CLOSECAST_BURST_PER_SECOND": "1000000",  # limits have tests of their own
            "CLOSECAST_FORECASTS_PER_DAY": "100000000",
            "CLOSECAST_TRACKING": "false",
            "CLOSECAST_LOG_LEVEL": "ERROR",
            "CLOSECAST_LOG_REQUESTS": "false",
        }
        home.mkdir(parents=True)
        api = stack.enter_context(_process("tests.faults.serve", home / "serve.log", {**own, **environment}))
        installation = Installation(postgres, proxy, api, port, home)
        installation.wait_until_ready()
        asyncio.run(_publish(postgres.server, tickers))
        yield replace(installation, token=_sign_in(installation))


@contextmanager
def _kept_postgres(folder: Path) -> Iterator[KeptPostgres]:
    kept = KeptPostgres(EmbeddedPostgres(folder))
    kept.server.start()
    keeper = threading.Thread(target=kept.keep, name="postgres-keeper")
    keeper.start()
    try:
        yield kept
    finally:
        kept.leave()
        keeper.join()
        kept.server.stop()


@contextmanager
def _process(module: str, log: Path, environment: Mapping[str, str]) -> "Iterator[subprocess.Popen[bytes]]":
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CLOSECAST_")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", module], env={**inherited, **environment}, stdout=output, stderr=output
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(60)


async def _publish(server: EmbeddedPostgres, tickers: Sequence[str]) -> None:
    settings = Settings(_env_file=None, database_url=SecretStr(server.url()))
    async with one_session(settings) as db:
        await publish_windows(db, [make_window(ticker, seed=seed) for seed, ticker in enumerate(tickers)])


def _sign_in(installation: Installation) -> str:
    account = {"email": EMAIL, "password": PASSWORD}
    httpx.post(f"{installation.url}/auth/register", json=account, timeout=30).raise_for_status()
    form = {"username": EMAIL, "password": PASSWORD}
    answer = httpx.post(f"{installation.url}/auth/token", data=form, timeout=30).raise_for_status()
    token: str = answer.json()["access_token"]
    return token
