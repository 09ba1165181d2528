"""Real processes that are killed, replaced and ended under load: what was answered is stored, and nobody is refused."""

import asyncio
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.acknowledged import AcknowledgedFile, read_acknowledged
from tests.faults.checker import check
from tests.faults.generator import Generator
from tests.faults.installation import Installation, installed
from tests.faults.nemesis import CUT, KILL_API, KILL_BACKEND, KILL_POSTMASTER
from tests.faults.siege import TICKERS, Siege, lay


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Two API processes on a PostgreSQL of their own."""
    with installed(tmp_path_factory.mktemp("installation"), workers=2, tickers=TICKERS) as running:
        yield running


async def wait_until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when it is."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (other processes)
            await asyncio.sleep(0.05)


def test_nothing_answered_is_lost_and_nothing_is_there_twice(installation: Installation, tmp_path: Path) -> None:
    """The short version of `make faults`."""
    deeds = (KILL_BACKEND, KILL_API, CUT, KILL_POSTMASTER, KILL_API)
    siege = Siege(requests=1_200, per_second=200, kills=4, seconds=20, pause_seconds=0.8, deeds=deeds)

    outcome = lay(siege, installation, tmp_path)

    assert outcome.kills == 4, outcome.lines()
    assert outcome.findings.answered > 100, outcome.lines()
    assert outcome.findings.is_sound, outcome.lines()


async def test_a_rolling_restart_under_load_refuses_nobody(installation: Installation, tmp_path: Path) -> None:
    """SIGHUP: each process is replaced by one that answers already; every request gets its answer, once."""
    await wait_until(installation.is_ready)
    before = installation.api_processes()
    with AcknowledgedFile(tmp_path / "rolling.jsonl") as file:
        generator = Generator(installation.port, installation.token, TICKERS, file, "rolling", per_second=200)
        load = asyncio.create_task(generator.run(1_000_000, connections=16))
        await wait_until(lambda: generator.told["200"] > 20)

        installation.api.send_signal(signal.SIGHUP)
        await wait_until(lambda: not set(before) & set(installation.api_processes()))
        generator.stopping = True
        await load

    assert len(installation.api_processes()) == len(before) == 2
    assert generator.told.keys() == {"200"}, generator.told
    assert check(installation.postgres.server.url(), read_acknowledged(tmp_path / "rolling.jsonl")).is_sound
