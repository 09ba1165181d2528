"""Jobs: asked for here, run by a worker on the queue `train`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import RUN_TRAINING, TRAIN_QUEUE, defer
from app.core.monitoring.metrics import lease_expiries_total
from app.features.training import crud
from app.models.training_job import JobStatus, TrainingJob

MOST_DEATHS = 3  # of workers that ran a job: what takes them along is then most likely the job itself

LOCK_PREFIX = f"{RUN_TRAINING}:"


@dataclass(frozen=True)
class Ended:
    """How an attempt ended: with a result, or with a reason why there is none; and what was not told before."""

    result: dict[str, Any] | None
    failure: str | None
    lines: Sequence[str] = ()
    progress: Mapping[str, Any] | None = None


async def start_job(
    db: AsyncSession, *, kind: str, spec: Mapping[str, Any], owner: UUID | None, reason: str
) -> TrainingJob:
    """Write a job's row and enqueue it, both in the session's transaction; the caller commits.

    Parameters
    ----------
    kind : one of ``kinds.RUNNERS``.
    spec : what its runner is told; what JSON can tell.
    owner : the user who asked; None: the schedule.
    reason : who or what asked, in words; it is kept.

    Raises
    ------
    TrainingInProgressError : the owner has a training, update or tuning that has not ended.
    DriftInProgressError : the owner has a comparison that has not ended.
    """
    job = await crud.add_job(db, TrainingJob(kind=kind, spec=dict(spec), owner_id=owner, reason=reason))
    await crud.add_event(db, job.id, "status", {"status": JobStatus.QUEUED})
    await enqueue(db, job.id, attempt=0)
    return job


async def enqueue(db: AsyncSession, job_id: UUID, *, attempt: int) -> None:
    """Have a worker take the job; ``attempt`` is how many have begun it. A second call of one attempt does nothing."""
    await defer(
        db,
        RUN_TRAINING,
        # An attempt's own: what a dead worker still holds must not keep the next one waiting.
        lock=f"{LOCK_PREFIX}{job_id}:{attempt}",
        queue=TRAIN_QUEUE,
        job_id=str(job_id),
        attempt=attempt,
    )


async def begin(db: AsyncSession, job_id: UUID, *, begun: int, lease: timedelta) -> TrainingJob | None:
    """Take a job for this worker and commit; None where it was cancelled, or another worker has it."""
    job = await crud.begin(db, job_id, begun=begun, lease=lease)
    if job is not None:
        await crud.add_event(db, job_id, "status", {"status": JobStatus.RUNNING, "attempt": job.attempt})
        await db.commit()
    return job


async def keep_up(
    db: AsyncSession,
    job_id: UUID,
    attempt: int,
    *,
    lease: timedelta,
    lines: Sequence[str],
    progress: Mapping[str, Any] | None,
) -> bool:
    """Give a heartbeat, keep what was told since the last one, and commit; False: the job is not this worker's now."""
    if not await crud.renew(db, job_id, attempt, lease=lease):
        return False
    await _keep(db, job_id, attempt, lines, progress)
    await db.commit()
    return True


async def end(db: AsyncSession, job_id: UUID, attempt: int, ended: Ended) -> None:
    """Write how an attempt ended, and commit; nothing where the job is not this worker's any more."""
    if await crud.renew(db, job_id, attempt, lease=timedelta()):
        await _keep(db, job_id, attempt, ended.lines, ended.progress)
        status = JobStatus.SUCCEEDED if ended.failure is None else JobStatus.FAILED
        await crud.end(db, job_id, attempt, status, result=ended.result, failure=ended.failure)
        told = {"status": status} if ended.failure is None else {"status": status, "failure": ended.failure}
        await crud.add_event(db, job_id, "status", told)
    await db.commit()


async def put_back(db: AsyncSession, job_id: UUID, attempt: int) -> None:
    """Let a job wait for another worker because this one is to end, and commit."""
    if await crud.put_back(db, job_id, attempt):
        await crud.add_event(db, job_id, "status", {"status": JobStatus.QUEUED, "why": "worker_stopped"})
        await enqueue(db, job_id, attempt=attempt)
    await db.commit()


async def recover(db: AsyncSession, *, patience: timedelta) -> None:
    """Have the jobs of dead workers wait again, fail those that nobody took within ``patience``, and commit.

    A job that waits without a place in the queue gets another: a database that was away just when a worker was to begin
    it has cost it the one it had.
    """
    for job in await crud.left_over(db, waited=patience):
        await _give_up(db, job.id, "its worker is gone, and no other took it over in time")
    expired = await crud.expired(db)
    for job in expired:
        if await crud.count_deaths(db, job.id) + 1 >= MOST_DEATHS:
            await _give_up(db, job.id, f"{MOST_DEATHS} workers that ran it are gone")
        else:
            await crud.put_back(db, job.id, job.attempt)
            await crud.add_event(db, job.id, "status", {"status": JobStatus.QUEUED, "why": crud.WORKER_GONE})
            await enqueue(db, job.id, attempt=job.attempt)
    for job in await crud.without_place(db, prefix=LOCK_PREFIX):
        await enqueue(db, job.id, attempt=job.attempt)
    await db.commit()
    lease_expiries_total.inc(len(expired))


async def _give_up(db: AsyncSession, job_id: UUID, failure: str) -> None:
    await crud.give_up(db, job_id, failure)
    await crud.add_event(db, job_id, "status", {"status": JobStatus.FAILED, "failure": failure})


async def _keep(
    db: AsyncSession, job_id: UUID, attempt: int, lines: Sequence[str], progress: Mapping[str, Any] | None
) -> None:
    for line in lines:
        await crud.add_event(db, job_id, "log", {"text": line})
    if progress is not None:
        await crud.note_progress(db, job_id, attempt, progress)
        await crud.add_event(db, job_id, "progress", progress)
