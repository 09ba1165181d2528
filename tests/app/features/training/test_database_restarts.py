"""PostgreSQL restarts while a worker is at a job: neither is lost."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import create_engine, session_factory
from app.core.migrations import upgrade
from app.models.training_job import TrainingJob
from app.supervisor.postgres import EmbeddedPostgres
from tests.app.features.training.conftest import StartWorker
from tests.app.features.training.test_running import Sessions, ask, ended, stepped, until, until_left

LONG_LEASE_SECONDS = 30.0  # whoever waits for it to run out has not put the job back


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of this test's own."""
    server = EmbeddedPostgres(tmp_path / "postgres")
    server.start()
    upgrade(server.url())
    yield server
    server.stop()


@pytest.fixture
def settings(settings: Settings, postgres: EmbeddedPostgres) -> Settings:
    """On that server."""
    own = {"database_url": SecretStr(postgres.url()), "job_lease_seconds": LONG_LEASE_SECONDS}
    return settings.model_copy(update=own)


@pytest.fixture
async def sessions(settings: Settings) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Sessions on that server."""
    engine = create_engine(settings)
    yield session_factory(engine)
    await engine.dispose()


async def test_a_restart_of_the_database_ends_neither_worker_nor_job(
    sessions: Sessions, settings: Settings, postgres: EmbeddedPostgres, start_worker: StartWorker
) -> None:
    """The worker comes back with the database, puts its job back, and goes on with it where it was."""
    job_id = await ask(sessions, "train", {"steps": 100, "step_seconds": 0.05, "history_used": 940})
    worker = start_worker("train")
    await until(sessions, job_id, stepped)

    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(0.5)
    await asyncio.to_thread(postgres.start)
    job = await _ended(sessions, job_id)

    assert (job.status, job.attempt, job.failure) == ("succeeded", 2, None)
    assert job.result is not None
    assert job.result["begun_at"] > 2
    await until_left(settings, [job.result["bundle"]])
    assert worker.poll() is None
    worker.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(worker.wait, 20) == 0


async def _ended(sessions: Sessions, job_id: UUID) -> TrainingJob:
    """The job once it has; the first connections are of the server that was stopped."""
    while True:
        try:
            return await until(sessions, job_id, ended, seconds=LONG_LEASE_SECONDS)
        except SQLAlchemyError:
            await asyncio.sleep(0.1)
