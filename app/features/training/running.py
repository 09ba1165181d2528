"""One attempt at a job, in the worker: the process runs, the row says so, and what it tells becomes events.

The lease moves on with each heartbeat. Whoever cannot move it on any more ends the process: another worker may have the
job by then, or its owner has cancelled it.
"""

import asyncio
import logging
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy.exc import SQLAlchemyError

from app.config import Settings
from app.core.database import DatabaseUnavailableError
from app.core.jobs import WorkerTools
from app.features.training import crud, service
from app.features.training.process import JobProcess
from app.models.training_job import TrainingJob
from ml_lifecycle.export.writing import sweep_drafts

logger = logging.getLogger(__name__)

TICK_SECONDS = 1.0  # between two looks at what the process told; live enough, and 3,600 events an hour at most
ONE_MINUTE, ONE_HOUR = timedelta(minutes=1), timedelta(hours=1)
PUT_BACK_SECONDS = 10.0  # for a database that restarts: what takes longer costs the job a lease
BEATS = 4  # in a lease, at least: three may go amiss


@dataclass(frozen=True)
class Attempt:
    """A job in this worker's hands."""

    job_id: UUID
    number: int
    kind: str
    spec: dict[str, Any]


def jobs_dir(settings: Settings) -> Path:
    """The folder that holds one folder per job that has not ended."""
    return settings.home.resolve() / "jobs"


def lease_of(settings: Settings) -> timedelta:
    """How long a worker that gives no heartbeat is believed to be alive."""
    return timedelta(seconds=settings.job_lease_seconds)


async def run_attempt(tools: WorkerTools, job_id: UUID, begun: int) -> None:
    """Run a job that ``begun`` workers had before; nothing happens where it is no longer to be had."""
    async with tools.sessions() as db:
        job = await service.begin(db, job_id, begun=begun, lease=lease_of(tools.settings))
    if job is None:
        return
    await _Run(tools, _attempt(tools.settings, job)).run()


def _attempt(settings: Settings, job: TrainingJob) -> Attempt:
    spec = {**job.spec, "job_id": str(job.id), "work_dir": str(jobs_dir(settings) / str(job.id))}
    return Attempt(job.id, job.attempt, job.kind, spec)


class _Run:
    """From a job that was begun to one that ended, was put back, or is somebody else's by now."""

    def __init__(self, tools: WorkerTools, attempt: Attempt) -> None:
        self._tools, self._attempt = tools, attempt
        self._lease = lease_of(tools.settings)
        self._longest_silence = tools.settings.job_silence_minutes * ONE_MINUTE
        self._tick = min(TICK_SECONDS, self._lease.total_seconds() / BEATS)
        self._longest = tools.settings.job_longest_hours * ONE_HOUR
        self._renewed_at = self._begun_at = time.monotonic()

    async def run(self) -> None:
        process = await JobProcess.start(self._tools.settings, self._attempt.kind, self._attempt.spec)
        try:
            async with process:
                is_ours = await self._watch(process)
        except asyncio.CancelledError:  # this worker is to end
            await self._put_back()
            raise
        if is_ours:
            await self._end(process)
        with suppress(SQLAlchemyError, OSError):  # then `tasks.look_once` does it
            await self._clean_up()

    async def _watch(self, process: JobProcess) -> bool:
        """Look on until the process has ended, has said nothing for too long, or has run for too long.

        False where the job is not, or may not be, this worker's any more.
        """
        ended = asyncio.create_task(process.ended(), name="the end of a job's process")
        try:
            while not ended.done():
                await asyncio.wait({ended}, timeout=self._tick)
                if not await self._keep_up(process):
                    return False
                if (failure := self._why_too_long(process)) is not None:
                    process.told.failure = failure
                    return True
        finally:
            ended.cancel()
        return True

    def _why_too_long(self, process: JobProcess) -> str | None:
        now = time.monotonic()
        if now - process.told.heard_at > self._longest_silence.total_seconds():
            return f"it told nothing for {self._longest_silence / ONE_MINUTE:g} minutes"
        if now - self._begun_at > self._longest.total_seconds():
            return f"it had not ended after {self._longest / ONE_HOUR:g} hours"
        return None

    async def _keep_up(self, process: JobProcess) -> bool:
        """Write what was told and move the lease on; a database that is away is asked again until the lease is over."""
        asked_at = time.monotonic()
        try:
            async with self._tools.sessions() as db:
                told, number = process.told, self._attempt.number
                lines, progress = tuple(told.lines), told.progress
                ours = await service.keep_up(
                    db, self._attempt.job_id, number, lease=self._lease, lines=lines, progress=progress
                )
        except (SQLAlchemyError, OSError) as error:
            logger.warning("job %s: no heartbeat: %s", self._attempt.job_id, type(error).__name__)
            return time.monotonic() - self._renewed_at < self._lease.total_seconds()
        self._renewed_at = asked_at
        for _ in range(min(len(lines), len(told.lines))):
            told.lines.popleft()
        if told.progress is progress:
            told.progress = None
        return ours

    async def _end(self, process: JobProcess) -> None:
        """Write how it ended; where the database stays away, the lease runs out and another worker goes on."""
        told = process.told
        failure = None if told.result is not None else process.why_without_result()
        ended = service.Ended(told.result, failure, tuple(told.lines), told.progress)
        while time.monotonic() - self._renewed_at < self._lease.total_seconds():
            with suppress(SQLAlchemyError, OSError):
                async with self._tools.sessions() as db:
                    await service.end(db, self._attempt.job_id, self._attempt.number, ended)
                logger.info("job %s: %s", self._attempt.job_id, failure or "succeeded")
                return
            await asyncio.sleep(self._tick)

    async def _put_back(self) -> None:
        """Let it wait for another worker; where the database stays away, the lease runs out."""
        deadline = time.monotonic() + PUT_BACK_SECONDS
        while time.monotonic() < deadline:
            with suppress(SQLAlchemyError, DatabaseUnavailableError, OSError):
                async with self._tools.sessions() as db:
                    await service.put_back(db, self._attempt.job_id, self._attempt.number)
                return
            await asyncio.sleep(self._tick)

    async def _clean_up(self) -> None:
        """Delete what the job's process left, unless the job goes on elsewhere."""
        async with self._tools.sessions() as db:
            if await crud.open_jobs(db, [self._attempt.job_id]):
                return
        await asyncio.to_thread(shutil.rmtree, self._attempt.spec["work_dir"], ignore_errors=True)
        await asyncio.to_thread(sweep_drafts, self._tools.settings.bundles)
