"""Rows of jobs and of their events; the caller commits.

Every instant is the database's: processes on several machines have several clocks.
"""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import text, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.notifications import JOB_CHANNEL
from app.features.training.errors import TrainingInProgressError
from app.models.training_job import TrainingJob, TrainingJobEvent

ONE_AT_A_TIME = "uq_training_jobs_one_at_a_time"


async def add_job(db: AsyncSession, job: TrainingJob) -> TrainingJob:
    """Insert one job.

    Raises
    ------
    TrainingInProgressError : its owner has one that has not ended.
    """
    try:
        async with db.begin_nested():
            db.add(job)
            await db.flush()
    except IntegrityError as error:
        if ONE_AT_A_TIME in str(error.orig):
            raise TrainingInProgressError from error
        raise
    await db.refresh(job)
    return job


async def add_event(db: AsyncSession, job_id: UUID, kind: str, payload: Mapping[str, Any]) -> int:
    """Append one event and give its number; at the commit every process that watches hears of it."""
    # The row's lock holds until the commit, so numbers come to be seen in their order.
    counted = update(TrainingJob).where(TrainingJob.id == job_id).values(last_event=TrainingJob.last_event + 1)
    seq = (await db.execute(counted.returning(TrainingJob.last_event))).scalar_one()
    db.add(TrainingJobEvent(job_id=job_id, seq=seq, kind=kind, payload=dict(payload)))
    await db.flush()
    await db.execute(text("SELECT pg_notify(:channel, :job)"), {"channel": JOB_CHANNEL, "job": str(job_id)})
    return seq
