"""Real processes that are killed, replaced and ended under load: what was answered is stored, and nobody is refused."""

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import AsyncMock

import pytest
from pydantic import SecretStr

from app.config import Settings
from app.features.registry import crud, promotion, service
from app.supervisor.one_session import one_session
from tests.app.bundles import write_bundle_with
from tests.app.serving import free_port
from tests.faults import nginx
from tests.faults.acknowledged import AcknowledgedFile, read_acknowledged
from tests.faults.checker import check
from tests.faults.generator import Generator
from tests.faults.http_client import HttpClient
from tests.faults.installation import Installation, installed
from tests.faults.nemesis import CUT, KILL_BACKEND, KILL_IN_SILENCE, KILL_POSTMASTER
from tests.faults.siege import TICKERS, Siege, lay


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Two API processes on a PostgreSQL of their own."""
    with installed(tmp_path_factory.mktemp("installation"), workers=2, tickers=TICKERS) as running:
        yield running


async def wait_until(true: Callable[[], bool], seconds: float = 100.0) -> None:
    """Return when it is."""
    async with asyncio.timeout(seconds):
        while not true():  # noqa: ASYNC110 (other processes)
            await asyncio.sleep(0.05)


def test_nothing_answered_is_lost_and_nothing_is_there_twice(installation: Installation, tmp_path: Path) -> None:
    """The short version of `make faults`."""
    deeds = (CUT, KILL_BACKEND, KILL_POSTMASTER, KILL_IN_SILENCE)
    siege = Siege(requests=800, per_second=200, kills=3, seconds=20, pause_seconds=0.8, deeds=deeds)

    outcome = lay(siege, installation, tmp_path)

    assert outcome.kills == 3, outcome.lines()
    assert outcome.findings.answered > 20, outcome.lines()
    assert outcome.findings.is_sound, outcome.lines()


@pytest.fixture(params=["direct", "behind nginx"])
def asked_port(request: pytest.FixtureRequest, installation: Installation, tmp_path: Path) -> Iterator[int]:
    """Where clients ask: the API's own port, or nginx's."""
    if request.param == "direct":
        yield installation.port
        return
    if not request.config.getoption("--long", default=False):
        pytest.skip("part of `make faults`")
    if not nginx.found():
        pytest.skip("no nginx on the path")
    port = free_port()
    with nginx.before(installation.port, port, tmp_path):
        yield port


async def test_a_rolling_restart_under_load_refuses_nobody(
    installation: Installation, asked_port: int, tmp_path: Path
) -> None:
    """SIGHUP: each process is replaced by one that answers already; every request gets its answer, once."""
    await wait_until(installation.is_ready)
    before = installation.api_processes()
    with AcknowledgedFile(tmp_path / "rolling.jsonl") as file:
        generator = Generator(asked_port, installation.token, TICKERS, file, f"rolling-{asked_port}", per_second=200)
        load = asyncio.create_task(generator.run(1_000_000, connections=16))
        await wait_until(lambda: generator.told["200"] > 20)

        installation.api.send_signal(signal.SIGHUP)
        await wait_until(lambda: not set(before) & set(installation.api_processes()))
        generator.stopping = True
        await load

    assert len(installation.api_processes()) == len(before) == 2
    assert generator.told.keys() == {"200"}, generator.told
    assert check(installation.postgres.server.url(), read_acknowledged(tmp_path / "rolling.jsonl")).is_sound


async def test_an_ended_process_answers_what_it_has_begun(installation: Installation, tmp_path: Path) -> None:
    """SIGTERM while every request is on its way to a slow database; what it answers is logged."""
    await wait_until(installation.is_ready)
    installation.proxy.delay(0.15)
    with AcknowledgedFile(tmp_path / "ended.jsonl") as file:
        generator = Generator(installation.port, installation.token, TICKERS, file, "ended", per_second=1_000)
        load = asyncio.create_task(generator.run(8, connections=8))
        await asyncio.sleep(0.1)
        os.kill(installation.api_processes()[0], signal.SIGTERM)
        await load
    installation.proxy.delay(0)

    assert generator.told == {"200": 8}
    assert check(installation.postgres.server.url(), read_acknowledged(tmp_path / "ended.jsonl")).is_sound


@pytest.mark.parametrize("lost", [False, True], ids=["told", "notification lost"])
async def test_a_promotion_under_load_is_served_by_all_within_five_seconds_and_refuses_nobody(
    installation: Installation,
    tmp_path: Path,
    lost: bool,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """Every connection is asked, old and new: they are spread over both processes."""
    if lost and not request.config.getoption("--long", default=False):
        pytest.skip("part of `make faults`; tests of the registry lose one, too")
    await wait_until(installation.is_ready)
    if lost:
        monkeypatch.setattr(crud, "tell_champions", AsyncMock())
    with AcknowledgedFile(tmp_path / "promoted.jsonl") as file:
        generator = Generator(installation.port, installation.token, TICKERS, file, f"promoted{lost}", per_second=100)
        load = asyncio.create_task(generator.run(1_000_000, connections=16))
        await wait_until(lambda: generator.told["200"] > 20)

        promoted = await promote(installation, history_used=910 + lost)
        started = time.monotonic()
        while await served(installation) != {promoted}:
            assert time.monotonic() - started < 5
            await asyncio.sleep(0.1)
        generator.stopping = True
        await load

    assert generator.told.keys() == {"200"}, generator.told


async def promote(installation: Installation, **manifest: object) -> str:
    """Force another bundle into the championship; gives its id."""
    settings = Settings(
        _env_file=None,
        home=installation.home,
        database_url=SecretStr(installation.postgres.server.url()),
    )
    folder = write_bundle_with(settings.bundles, **manifest)  # type: ignore[arg-type]  # manifest fields
    async with one_session(settings) as db:
        bundle_id = await service.register_bundle(db, folder)
        await promotion.force(db, bundle_id, reason="a test", by="nobody")
    return bundle_id


async def served(installation: Installation) -> set[str]:
    """Bundles that twenty new connections are told of."""

    async def ask() -> str:
        async with HttpClient(installation.port, {"authorization": f"Bearer {installation.token}"}) as http:
            version: str = (await http.ask("GET", "/model/info")).json()["version"]
            return version

    return set(await asyncio.gather(*(ask() for _ in range(20))))
