"""Rows of jobs and of their events; the caller commits.

Every instant is the database's: processes on several machines have several clocks.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, Text, cast, column, func, select, table, text, tuple_, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.core.notifications import JOB_CHANNEL
from app.features.training.errors import DriftInProgressError, TrainingInProgressError
from app.models.training_job import PRESENT, JobStatus, TrainingJob, TrainingJobEvent

ONE_AT_A_TIME = {
    "uq_training_jobs_one_at_a_time": TrainingInProgressError,
    "uq_training_jobs_one_drift_at_a_time": DriftInProgressError,
}
OPEN = (JobStatus.QUEUED, JobStatus.RUNNING)
WORKER_GONE = "worker_gone"  # why a job waits again
PLACES = table("procrastinate_jobs", column("queueing_lock", Text), column("status"))


async def add_job(db: AsyncSession, job: TrainingJob) -> TrainingJob:
    """Insert one job.

    Raises
    ------
    TrainingInProgressError, DriftInProgressError : its owner has one that has not ended.
    """
    try:
        async with db.begin_nested():
            db.add(job)
            await db.flush()
    except IntegrityError as error:
        for index, refusal in ONE_AT_A_TIME.items():
            if index in str(error.orig):
                raise refusal from error
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


async def find_job(db: AsyncSession, job_id: UUID, *, owner: UUID | None = None) -> TrainingJob | None:
    """One job as it is now; with ``owner`` only if it is that user's."""
    found = select(TrainingJob).where(TrainingJob.id == job_id)
    if owner is not None:
        found = found.where(TrainingJob.owner_id == owner)
    return await db.scalar(found.execution_options(populate_existing=True))


async def list_jobs(
    db: AsyncSession, *, owner: UUID | None, limit: int, before: tuple[datetime, UUID] | None
) -> Sequence[TrainingJob]:
    """Jobs, newest first; ``owner`` None: everybody's."""
    newest = select(TrainingJob).order_by(TrainingJob.created_at.desc(), TrainingJob.id.desc()).limit(limit)
    if owner is not None:
        newest = newest.where(TrainingJob.owner_id == owner)
    if before is not None:
        newest = newest.where(tuple_(TrainingJob.created_at, TrainingJob.id) < before)
    return (await db.scalars(newest)).all()


async def events_after(
    db: AsyncSession, job_id: UUID, after: int, *, limit: int, kind: str | None = None
) -> Sequence[TrainingJobEvent]:
    """Events with a number above ``after``, in their order."""
    later = select(TrainingJobEvent).where(TrainingJobEvent.job_id == job_id, TrainingJobEvent.seq > after)
    if kind is not None:
        later = later.where(TrainingJobEvent.kind == kind)
    return (await db.scalars(later.order_by(TrainingJobEvent.seq).limit(limit))).all()


async def begin(db: AsyncSession, job_id: UUID, *, begun: int, lease: timedelta) -> TrainingJob | None:
    """Take a job that waits and that ``begun`` workers had before; None where it is no longer to be had."""
    taken = (
        update(TrainingJob)
        .where(TrainingJob.id == job_id, TrainingJob.status == JobStatus.QUEUED, TrainingJob.attempt == begun)
        .values(
            status=JobStatus.RUNNING,
            attempt=begun + 1,
            started_at=func.coalesce(TrainingJob.started_at, PRESENT),
            lease_until=PRESENT + lease,
        )
    )
    return (await db.execute(taken.returning(TrainingJob))).scalar_one_or_none()


async def renew(db: AsyncSession, job_id: UUID, attempt: int, *, lease: timedelta) -> bool:
    """Move the lease of a running attempt on; False where it is no longer this worker's."""
    return await _write(db, job_id, attempt, lease_until=PRESENT + lease)


async def note_progress(db: AsyncSession, job_id: UUID, attempt: int, progress: Mapping[str, Any]) -> bool:
    """Keep what the runner told last; False where the job is no longer this worker's."""
    return await _write(db, job_id, attempt, progress=dict(progress))


async def end(db: AsyncSession, job_id: UUID, attempt: int, status: JobStatus, **values: Any) -> bool:
    """End a running attempt; False where it is no longer this worker's, and nothing changes."""
    return await _write(db, job_id, attempt, status=status, finished_at=PRESENT, lease_until=None, **values)


async def put_back(db: AsyncSession, job_id: UUID, attempt: int) -> bool:
    """Let a running attempt wait for another worker; False where it is no longer this worker's."""
    return await _write(db, job_id, attempt, status=JobStatus.QUEUED, lease_until=None)


async def give_up(db: AsyncSession, job_id: UUID, failure: str) -> None:
    """Fail a job that nobody runs."""
    values = {"status": JobStatus.FAILED, "failure": failure, "finished_at": PRESENT, "lease_until": None}
    await db.execute(update(TrainingJob).where(TrainingJob.id == job_id).values(**values))


async def cancel(db: AsyncSession, job_id: UUID) -> bool:
    """Cancel a job that has not ended; False where it has."""
    stopped = (
        update(TrainingJob)
        .where(TrainingJob.id == job_id, TrainingJob.status.in_(OPEN))
        .values(status=JobStatus.CANCELLED, finished_at=PRESENT, lease_until=None)
    )
    return (await db.execute(stopped.returning(TrainingJob.id))).scalar_one_or_none() is not None


async def expired(db: AsyncSession) -> Sequence[TrainingJob]:
    """Running jobs whose workers have given no heartbeat for a lease; their rows are locked."""
    return await _locked(db, select(TrainingJob).where(TrainingJob.lease_until < PRESENT))


async def left_over(db: AsyncSession, *, waited: timedelta) -> Sequence[TrainingJob]:
    """Jobs of dead workers that nobody has taken over for so long; their rows are locked."""
    newest = select(TrainingJobEvent.job_id).where(
        TrainingJobEvent.job_id == TrainingJob.id,
        TrainingJobEvent.seq == TrainingJob.last_event,
        TrainingJobEvent.payload["why"].astext == WORKER_GONE,
        TrainingJobEvent.at < PRESENT - waited,
    )
    return await _locked(db, select(TrainingJob).where(TrainingJob.status == JobStatus.QUEUED, newest.exists()))


async def count_deaths(db: AsyncSession, job_id: UUID) -> int:
    """How often a job came to wait again because its worker was gone."""
    deaths = select(func.count()).where(
        TrainingJobEvent.job_id == job_id, TrainingJobEvent.payload["why"].astext == WORKER_GONE
    )
    return await db.scalar(deaths) or 0


async def without_place(db: AsyncSession, *, prefix: str) -> Sequence[TrainingJob]:
    """Jobs that wait although nothing in the queue is to begin them; their rows are locked.

    A place in the queue has the lock ``<prefix><job's id>:<attempt>``.
    """
    lock = func.concat(prefix, cast(TrainingJob.id, Text), ":", cast(TrainingJob.attempt, Text))
    place = select(PLACES).where(PLACES.c.queueing_lock == lock, text("procrastinate_jobs.status IN ('todo', 'doing')"))
    return await _locked(db, select(TrainingJob).where(TrainingJob.status == JobStatus.QUEUED, ~place.exists()))


async def open_jobs(db: AsyncSession, job_ids: Sequence[UUID]) -> set[UUID]:
    """Those of ``job_ids`` that have not ended."""
    wanted = select(TrainingJob.id).where(TrainingJob.id.in_(job_ids), TrainingJob.status.in_(OPEN))
    return set((await db.scalars(wanted)).all())


async def _write(db: AsyncSession, job_id: UUID, attempt: int, **values: Any) -> bool:
    """Write to a running attempt, whose number is its right to."""
    own = (
        update(TrainingJob)
        .where(TrainingJob.id == job_id, TrainingJob.attempt == attempt, TrainingJob.status == JobStatus.RUNNING)
        .values(**values)
    )
    return (await db.execute(own.returning(TrainingJob.id))).scalar_one_or_none() is not None


async def _locked(db: AsyncSession, jobs: Select[TrainingJob]) -> Sequence[TrainingJob]:
    """What another process has just locked is that one's to look after."""
    return (await db.scalars(jobs.with_for_update(skip_locked=True))).all()
