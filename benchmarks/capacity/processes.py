"""What each process holds: memory, and connections to PostgreSQL when all that it may have are in use.

    python -m benchmarks.capacity.processes

Starts an embedded PostgreSQL, an API process, a data worker and, where TensorFlow is installed, a training worker, each
after the other and alone; about a minute. The API is asked by many at once, so that its pool is full. Prints one table.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
from pydantic import SecretStr

from app.config import Settings
from app.supervisor.environment import as_environment
from app.supervisor.listening import free_port
from app.supervisor.preparation import prepare_database
from app.worker import possible_queues
from benchmarks.serving.installation import SECRET
from benchmarks.serving.page import machine, table
from tests.database import migrated_template, temporary_database

START_SECONDS = 120.0
AT_ONCE = 40
ROUNDS = 10
CONNECTIONS = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


def main() -> int:
    """Print the table."""
    with tempfile.TemporaryDirectory() as home, temporary_database(migrated_template()) as url:
        settings = Settings(
            _env_file=None,
            home=Path(home),
            database_url=SecretStr(url),
            jwt_secret=SecretStr(SECRET),
            port=free_port("127.0.0.1", 18000),
            log_requests=False,
            log_level="WARNING",
            sources=["sample"],
            database_timeout_seconds=20.0,  # many ask at once: each waits its turn
        )
        prepare_database(settings)
        rows = [_measured("API", settings, ["api"])]
        rows += [_measured(f"worker of `{each}`", settings, ["worker", "--queues", each]) for each in possible_queues()]
    print(table(("process", "resident, MiB", "connections"), rows))
    print(f"\nMeasured {machine()}.")
    return 0


def _measured(name: str, settings: Settings, command: Sequence[str]) -> tuple[str, str, str]:
    assert settings.database_url is not None
    with (
        _running(settings, command) as process,
        psycopg.connect(settings.database_url.get_secret_value()) as connection,
    ):
        _wait_until_at_work(settings, command, connection)
        connections = max(_fill_pool(settings, connection)) if command == ["api"] else _count(connection)
        pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return name, f"{pages * os.sysconf('SC_PAGE_SIZE') / 2**20:.0f}", str(connections)


@contextmanager
def _running(settings: Settings, command: Sequence[str]) -> Iterator["subprocess.Popen[bytes]"]:
    environment = {**os.environ, **as_environment(settings)}
    process = subprocess.Popen([sys.executable, "-m", "cli", *command], env=environment)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(timeout=60)


def _wait_until_at_work(settings: Settings, command: Sequence[str], connection: psycopg.Connection) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not (_is_ready(settings) if command == ["api"] else _has_heartbeat(connection)):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{' '.join(command)} was not at work in {START_SECONDS:.0f} s")
        time.sleep(0.5)
    time.sleep(5)  # its first tasks are done, its listeners there


def _is_ready(settings: Settings) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{settings.port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def _has_heartbeat(connection: psycopg.Connection) -> bool:
    with connection.transaction():
        recent = "SELECT 1 FROM procrastinate_workers WHERE last_heartbeat > now() - interval '5 s'"
        return connection.execute(recent).fetchone() is not None


def _count(connection: psycopg.Connection) -> int:
    with connection.transaction():
        row = connection.execute(CONNECTIONS).fetchone()
    return 0 if row is None else int(row[0])


def _fill_pool(settings: Settings, connection: psycopg.Connection) -> Iterator[int]:
    """How many there were, looked at while many ask for what reads the database."""
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", timeout=60) as client,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        for _ in range(ROUNDS):
            asking = [pool.submit(client.get, "/readyz") for _ in range(AT_ONCE)]
            yield _count(connection)
            for each in asking:
                each.result().raise_for_status()
        yield _count(connection)


if __name__ == "__main__":
    sys.exit(main())
