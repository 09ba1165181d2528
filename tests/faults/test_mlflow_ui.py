"""`make mlflow`: MLflow's pages answer on this machine and nowhere else."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

START_SECONDS = 90.0


@pytest.fixture
def pages(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    """The port of the pages over an empty home, once they answer."""
    if not request.config.getoption("--long", default=False):
        pytest.skip("MLflow's server takes 15 s to start: run with --long")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.mlflow_ui", "--port", str(port)],
        env={**os.environ, "CLOSECAST_HOME": str(tmp_path), "CLOSECAST_TRACKING": "true"},
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait(port)
        yield port
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(120)


def test_pages_answer_on_loopback_only(pages: int) -> None:
    """A page of another site that has itself resolved to 127.0.0.1 is refused by its name."""
    page = httpx.get(f"http://127.0.0.1:{pages}/")
    experiments = f"http://127.0.0.1:{pages}/api/2.0/mlflow/experiments/search?max_results=1"

    assert page.status_code == 200
    assert "text/html" in page.headers["content-type"]
    assert httpx.get(experiments).status_code == 200
    assert httpx.get(experiments, headers={"Host": "evil.example"}).status_code == 403
    listening = [line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines() if line.split()[3] == "0A"]
    assert [place.partition(":")[0] for place in listening if int(place.partition(":")[2], 16) == pages] == ["0100007F"]


def _wait(port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1.0).close()
        except OSError:
            assert time.monotonic() < deadline, "MLflow's server does not answer"
            time.sleep(0.2)
        else:
            return
