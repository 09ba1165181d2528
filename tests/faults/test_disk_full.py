"""PostgreSQL on a disk that is really full. It needs a file system of its own, which only root may mount."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.migrations import upgrade
from app.features.market_data.service import publish_windows
from app.supervisor.postgres import EmbeddedPostgres
from tests.app.accounts import Account
from tests.app.windows import make_window
from tests.faults.tcp_proxy import TcpProxy, way_to

DISK_BYTES = 160 * 1024**2
MOST_REQUESTS = 2_000


@contextmanager
def disk(folder: Path) -> Iterator[Path]:
    """A small file system in memory, where the test may mount one."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    mounted = subprocess.run(mount, check=False, capture_output=True, text=True)
    if mounted.returncode:
        pytest.skip(f"no file system may be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture(scope="module")
def small_disk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where PostgreSQL's files lie."""
    if not request.config.getoption("--long", default=False):
        pytest.skip("part of `make faults`")
    with disk(tmp_path_factory.mktemp("small") / "disk") as folder:
        yield folder


@pytest.fixture(scope="module")
def server(small_disk: Path) -> Iterator[EmbeddedPostgres]:
    """A server on it."""
    embedded = EmbeddedPostgres(small_disk / "pg")
    embedded.start()
    upgrade(embedded.url())
    yield embedded
    embedded.stop()


@pytest.fixture(scope="module")
def proxy(server: EmbeddedPostgres) -> Iterator[TcpProxy]:
    """The way to it."""
    with TcpProxy(lambda: way_to(server)) as proxy:
        yield proxy


@pytest.fixture
def database_url(server: EmbeddedPostgres, proxy: TcpProxy) -> str:
    """Its one database: a second would not fit."""
    return proxy.database_url("closecast")


async def test_a_disk_that_fills_up_is_a_503_and_over_when_there_is_room(
    client: httpx.AsyncClient, registered_user: Account, db: AsyncSession, small_disk: Path, server: EmbeddedPostgres
) -> None:
    """Rows find room in started pages for a while; what was answered is logged, and nothing is started again."""
    await publish_windows(db, [make_window("AAPL")])
    await db.close()
    filler = small_disk / "filler"

    async def ask() -> httpx.Response:
        return await client.get("/predict/AAPL", headers=registered_user.headers)

    _fill(filler)
    answers = [await ask()]
    while answers[-1].status_code == 200 and len(answers) < MOST_REQUESTS:
        answers.append(await ask())
    alive = await client.get("/livez")
    filler.unlink()
    after = [await ask() for _ in range(5)]

    assert (answers[-1].status_code, answers[-1].json()["type"]) == (503, "/problems/database-unavailable")
    assert alive.status_code == 200
    assert after[-1].status_code == 200
    with psycopg.connect(server.url()) as connection:
        logged = {row[0] for row in connection.execute("SELECT request_id FROM prediction_log")}
    assert {each.headers["X-Request-Id"] for each in (*answers, *after) if each.status_code == 200} <= logged


def _fill(filler: Path) -> None:
    """Take all the room that is left."""
    with filler.open("wb", buffering=0) as file:
        try:
            while file.write(b"\0" * 65_536):
                pass
        except OSError:
            return
