"""What several processes count together is exact while some of them end, and bounded whatever is asked."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException

import httpx
import pytest

from app.core.monitoring.tallies import WRITTEN_EVERYWHERE_SECONDS
from tests.app.serving import SECRET, free_port
from tests.database import migrated_template, temporary_database
from tests.faults.processes import children_of

PROCESSES = 4
ASKED = 10_000
CLIENTS = 8
A_CONNECTION = 50  # requests: then a new one, which another process may take
MOST_SERIES = 500
PATIENCE_SECONDS = 180.0


@dataclass
class Installation:
    """`closecast serve` without its worker."""

    process: "subprocess.Popen[bytes]"
    port: int

    @property
    def url(self) -> str:
        """Where the API answers."""
        return f"http://127.0.0.1:{self.port}"

    def processes(self) -> list[int]:
        """Numbers of the API's processes."""
        return children_of(self.process.pid, "app.supervisor.api_process")

    def scrape(self) -> str:
        """What Prometheus is told, once all processes have written what they counted."""
        time.sleep(WRITTEN_EVERYWHERE_SECONDS)
        return httpx.get(f"{self.url}/metrics", timeout=30).text

    def end_one(self, number: signal.Signals) -> None:
        """Send a process a signal, and wait until it is gone and another is there in its place."""
        ended = self.processes()[0]
        os.kill(ended, number)
        wait_until(lambda: ended not in self.processes() and len(self.processes()) == PROCESSES)


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Four processes behind one port, kept alive by the real supervisor."""
    home, port = tmp_path_factory.mktemp("counting"), free_port()
    with temporary_database(migrated_template()) as database_url:
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("CLOSECAST_")},
            "CLOSECAST_HOME": str(home / "home"),
            "CLOSECAST_PORT": str(port),
            "CLOSECAST_WORKERS": str(PROCESSES),
            "CLOSECAST_DATABASE_URL": database_url,
            "CLOSECAST_JWT_SECRET": SECRET,
            "CLOSECAST_LOG_REQUESTS": "false",
        }
        with (
            (home / "serve.log").open("w") as log,
            subprocess.Popen([sys.executable, "-m", "tests.faults.serve"], env=environment, stderr=log) as process,
        ):
            started = Installation(process, port)
            try:
                wait_until(lambda: len(started.processes()) == PROCESSES and is_ready(started))
                yield started
            finally:
                process.terminate()
                process.wait(60)


def is_ready(installation: Installation) -> bool:
    try:
        return httpx.get(f"{installation.url}/readyz", timeout=30).status_code == 200
    except httpx.TransportError:
        return False


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not true():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.1)


def value_of(series: str, text: str) -> float:
    """The sum of all series that match."""
    return sum(float(value) for value in re.findall(rf"^{series} ([\d.e+]+)$", text, re.MULTILINE))


def answered(installation: Installation, paths: Sequence[str]) -> int:
    """How many of the paths were answered; one whose connection ended before its answer is asked for again."""
    with ThreadPoolExecutor(CLIENTS) as clients:
        return sum(clients.map(lambda some: ask(installation.port, some), batches(paths)))


def batches(paths: Sequence[str]) -> list[Sequence[str]]:
    return [paths[first : first + A_CONNECTION] for first in range(0, len(paths), A_CONNECTION)]


def ask(port: int, paths: Sequence[str]) -> int:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    for path in paths:
        while True:
            try:
                connection.request("GET", path)
                assert connection.getresponse().read()
            except (HTTPException, OSError):  # a process that ends closes idle connections: this was not answered
                connection.close()
                time.sleep(0.01)
            else:
                break
    connection.close()
    return len(paths)


def test_requests_are_counted_one_by_one_though_two_of_four_processes_end(installation: Installation) -> None:
    """One is killed, one ends in good order amid the requests; nothing is counted twice, nothing is lost."""
    counted = r'http_requests_total\{handler="(?:/predict/\{ticker:path\}|none)",.*\}'
    tickers = [f"/predict/T{number}" for number in range(ASKED // 2)]
    nowhere = [f"/nowhere/{number}" for number in range(ASKED // 2)]
    before = value_of(counted, installation.scrape())

    sent = answered(installation, tickers)
    time.sleep(1.0)  # a killed process takes the last 20 ms of its counts along, as docs/adr/0008 says
    installation.end_one(signal.SIGKILL)
    with ThreadPoolExecutor(1) as aside:
        ending = aside.submit(installation.end_one, signal.SIGTERM)
        sent += answered(installation, nowhere)
        ending.result()

    assert sent == ASKED
    assert value_of(counted, installation.scrape()) - before == ASKED


def test_series_stay_few_whatever_was_asked(installation: Installation) -> None:
    """After 10,000 tickers and paths of the test before, and every route by every method that it has."""
    routes = httpx.get(f"{installation.url}/openapi.json", timeout=30).json()["paths"]
    with httpx.Client(base_url=installation.url, timeout=30) as client:
        for path, operations in routes.items():
            for method in operations.keys() & {"get", "post", "put", "patch", "delete"}:
                if not path.endswith("/events"):
                    client.request(method, re.sub(r"\{\w+\}", "x", path))

    series = [line for line in installation.scrape().splitlines() if line and not line.startswith("#")]

    assert len(routes) > 40
    assert len(series) <= MOST_SERIES
    assert "T77" not in "".join(series)


def test_each_process_tells_what_it_uses_under_its_own_name(installation: Installation) -> None:
    """Also those that were started in the place of others: by name there are four, and not six."""
    wait_until(lambda: len(told_by(installation, "resident_memory_bytes")) == PROCESSES)
    names = {f"api-{number}" for number in range(PROCESSES)}

    for figure in ("resident_memory_bytes", "open_fds", "max_fds", "start_time_seconds", "cpu_seconds_total"):
        told = told_by(installation, figure)
        assert told.keys() == names, figure
        assert min(told.values()) > 0.0, figure


def told_by(installation: Installation, figure: str) -> dict[str, float]:
    lines = re.findall(rf'^closecast_process_{figure}{{process="(.+)"}} (.+)$', installation.scrape(), re.MULTILINE)
    return {name: float(value) for name, value in lines}
