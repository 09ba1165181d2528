"""What a worker in a container tells Prometheus, at a port of its own."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from time import monotonic, sleep

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import COLLECT, defer
from app.core.monitoring.metrics import OF_A_WORKER
from tests.app.process_environment import environment_of
from tests.app.serving import free_port

WORKER = [sys.executable, "-W", "ignore", "-m", "app.supervisor.worker_process"]
UNKNOWN = 'closecast_source_errors_total{cause="unknown_ticker"}'
LONG_AGO = "2000-01-01T00:00:00+00:00"


@pytest.fixture
def worker_metrics(settings: Settings) -> Iterator[Callable[[], str]]:
    """What is scraped from a worker on the packaged sample; empty until it listens."""
    port = free_port()
    environment = environment_of(settings, CLOSECAST_SOURCES='["sample"]', CLOSECAST_WORKER_METRICS_PORT=str(port))

    def scrape() -> str:
        try:
            return httpx.get(f"http://127.0.0.1:{port}/metrics").text
        except httpx.TransportError:
            return ""

    with subprocess.Popen(WORKER, env=environment) as process:
        try:
            yield scrape
        finally:
            process.kill()


def wait_for(line: str, scrape: Callable[[], str], seconds: float = 60.0) -> None:
    """Return once a scrape has ``line``."""
    deadline = monotonic() + seconds
    while line not in scrape().splitlines():
        assert monotonic() < deadline, f"waited in vain for {line} in: {scrape()}"
        sleep(0.1)


async def test_a_failed_asking_shows_in_what_is_scraped(db: AsyncSession, worker_metrics: Callable[[], str]) -> None:
    """The sample holds five tickers; this is none of them."""
    wait_for(f"{UNKNOWN} 0.0", worker_metrics)
    await defer(db, COLLECT, lock="NONE", ticker="NONE", asked_at=LONG_AGO)
    await db.commit()

    wait_for(f"{UNKNOWN} 1.0", worker_metrics)


def test_a_worker_tells_nothing_that_only_the_api_knows(settings: Settings, worker_metrics: Callable[[], str]) -> None:
    wait_for(f"{UNKNOWN} 0.0", worker_metrics)

    named = {line.split()[2] for line in worker_metrics().splitlines() if line.startswith("# TYPE ")}

    assert named == {
        f"{family.name}_total" if family.type == "counter" else family.name
        for metric in OF_A_WORKER
        for family in metric.describe()
    }
    assert 'closecast_process_open_fds{process="worker"}' in worker_metrics()
    wait_for(f'closecast_database_pool_size{{process="worker"}} {settings.database_pool_size:.1f}', worker_metrics)
    assert 'closecast_database_pool_used{process="worker"}' in worker_metrics()


def test_a_taken_port_is_told_in_one_line(settings: Settings) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        environment = environment_of(settings, CLOSECAST_WORKER_METRICS_PORT=str(port))
        refused = subprocess.run(
            [sys.executable, "-m", "cli", "worker"], env=environment, check=False, capture_output=True, text=True
        )

    assert refused.returncode == 6
    assert refused.stderr.startswith(f"closecast: no metrics at port {port} (CLOSECAST_WORKER_METRICS_PORT): ")
