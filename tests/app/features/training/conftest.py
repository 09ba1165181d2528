"""Workers whose jobs take a moment."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.jobs import WorkerTools
from app.features.training import process
from app.features.users.service import create_user
from app.models.user import Scope
from tests.app.accounts import Account, sign_in
from tests.app.conftest import PASSWORD
from tests.app.features.training import quick_child
from tests.app.process_environment import environment_of

LEASE_SECONDS = 2.0  # a worker on a busy machine may be held up for one
StartWorker = Callable[..., "subprocess.Popen[bytes]"]
PROGRAM = """
from app.config import Settings
from app.features.training import process
from app.worker import run
process.MODULE = {module!r}
run(Settings(), {queues!r})
"""


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    """A lease that is over soon, and bundles of this test's own."""
    return settings.model_copy(update={"job_lease_seconds": LEASE_SECONDS, "bundle_dir": tmp_path / "bundles"})


@pytest.fixture
def tools(
    settings: Settings, sessions: async_sessionmaker[AsyncSession], monkeypatch: pytest.MonkeyPatch
) -> WorkerTools:
    """What a worker in this process works with."""
    monkeypatch.setattr(process, "MODULE", quick_child.MODULE)
    return WorkerTools(settings, sessions)


@pytest.fixture
def start_worker(settings: Settings) -> Iterator[StartWorker]:
    """Starts workers on the given queues; all are ended, with their children, afterwards."""
    with workers_of(settings) as start:
        yield start


@contextmanager
def workers_of(
    settings: Settings, module: str = quick_child.MODULE, *, program: str = PROGRAM
) -> Iterator[StartWorker]:
    """What ``start_worker`` is; ``module`` is what jobs run in, or what ``program`` makes of that name."""
    workers: list[subprocess.Popen[bytes]] = []

    def start(*queues: str) -> "subprocess.Popen[bytes]":
        environment = environment_of(settings, CLOSECAST_JOB_LEASE_SECONDS=str(settings.job_lease_seconds))
        code = program.format(queues=queues or ("train",), module=module)
        workers.append(subprocess.Popen([sys.executable, "-W", "ignore", "-c", code], env=environment))
        return workers[-1]

    try:
        yield start
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()


def is_alive(pid: int) -> bool:
    """Whether there is a process of this number that has not ended."""
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def kill(pid: int) -> None:
    """As the kernel does when memory is short."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


@pytest.fixture
async def trainer(app: FastAPI, client: httpx.AsyncClient, db: AsyncSession) -> Account:
    """A user who may train and is signed in."""
    return await make_trainer(app, client, db, "ada@example.org")


async def make_trainer(app: FastAPI, client: httpx.AsyncClient, db: AsyncSession, email: str) -> Account:
    """A user with the scope `train`."""
    user = await create_user(db, app.state.passwords, email=email, password=PASSWORD)
    user.scopes = [Scope.PREDICT, Scope.TRAIN]
    await db.commit()
    return await sign_in(client, email=email, password=PASSWORD)
