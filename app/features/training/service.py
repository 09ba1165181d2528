"""Jobs: asked for here, run by a worker on the queue `train`."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.jobs import RUN_TRAINING, TRAIN_QUEUE, defer
from app.features.training import crud
from app.models.training_job import JobStatus, TrainingJob


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
        lock=f"{RUN_TRAINING}:{job_id}:{attempt}",
        queue=TRAIN_QUEUE,
        job_id=str(job_id),
        attempt=attempt,
    )
