"""Jobs of the queue `train`. What trains is imported in the job's own process only."""

import asyncio
import logging
import shutil
from pathlib import Path
from uuid import UUID

from procrastinate import App, JobContext
from sqlalchemy.exc import SQLAlchemyError

from app.config import Settings
from app.core.database import DatabaseUnavailableError
from app.core.jobs import RUN_TRAINING, TRAIN_QUEUE, WorkerTools, tools_of
from app.features.training import crud, service
from app.features.training.running import BEATS, jobs_dir, lease_of, run_attempt
from ml_lifecycle.export.writing import sweep_drafts

logger = logging.getLogger(__name__)


def add_tasks(app: App) -> None:
    """Let a worker run jobs of all kinds."""
    app.task(name=RUN_TRAINING, queue=TRAIN_QUEUE, pass_context=True)(run_training)


async def run_training(context: JobContext, job_id: str, attempt: int) -> None:
    """Run a job in a process of its own, unless it was cancelled or another worker has it."""
    await run_attempt(tools_of(context), UUID(job_id), attempt)


async def look_after_jobs(tools: WorkerTools) -> None:
    """Over and over: have the jobs of dead workers taken over or failed, and delete what dead processes left here."""
    pause_seconds = lease_of(tools.settings).total_seconds() / BEATS
    while True:
        try:
            await look_once(tools)
        except (SQLAlchemyError, DatabaseUnavailableError, OSError) as error:  # the next look is soon
            logger.warning("jobs are not looked after: %s", type(error).__name__)
        await asyncio.sleep(pause_seconds)


async def look_once(tools: WorkerTools) -> None:
    """One look of ``look_after_jobs``.

    A job whose worker gave no heartbeat for a lease waits again; one that nobody takes within another has failed.
    """
    lease = lease_of(tools.settings)
    async with tools.sessions() as db:
        await service.recover(db, patience=lease)
    await _sweep(tools)


async def _sweep(tools: WorkerTools) -> None:
    """Delete the folders of jobs that have ended, and drafts of bundles whose writers are dead."""
    folders = await asyncio.to_thread(_folders, tools.settings)
    if folders:
        async with tools.sessions() as db:
            kept = await crud.open_jobs(db, list(folders))
        for job_id in folders.keys() - kept:
            await asyncio.to_thread(shutil.rmtree, folders[job_id], ignore_errors=True)
    await asyncio.to_thread(sweep_drafts, tools.settings.bundles)


def _folders(settings: Settings) -> dict[UUID, Path]:
    """The folders of jobs on this machine, by the job's id."""
    return {UUID(folder.name): folder for folder in jobs_dir(settings).glob("*-*-*-*-*")}
