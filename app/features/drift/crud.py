"""Rows of drift reports and the jobs that make them; the caller commits."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import or_, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.drift import DriftReport
from app.models.training_job import JobKind, TrainingJob


async def add_report(db: AsyncSession, values: Mapping[str, Any]) -> DriftReport:
    """Insert a report unless there is one of its id, and read the one that is there."""
    await db.execute(insert(DriftReport).values(**values).on_conflict_do_nothing(index_elements=[DriftReport.id]))
    return (await db.execute(select(DriftReport).where(DriftReport.id == values["id"]))).scalar_one()


async def find_report(db: AsyncSession, report_id: UUID) -> DriftReport | None:
    """One report."""
    return await db.get(DriftReport, report_id)


async def find_job(db: AsyncSession, job_id: UUID) -> TrainingJob | None:
    """The job that makes a report."""
    return await db.scalar(select(TrainingJob).where(TrainingJob.id == job_id, TrainingJob.kind == JobKind.DRIFT))


async def list_reports(
    db: AsyncSession, *, of: UUID | None, limit: int, before: tuple[datetime, UUID] | None
) -> Sequence[tuple[DriftReport, UUID | None]]:
    """Reports, newest first, each with the user whose job made it; with ``of`` none of other users'."""
    page = (
        select(DriftReport, TrainingJob.owner_id)
        .outerjoin(TrainingJob, TrainingJob.id == DriftReport.id)
        .order_by(DriftReport.made_at.desc(), DriftReport.id.desc())
        .limit(limit)
    )
    if of is not None:
        page = page.where(or_(TrainingJob.owner_id.is_(None), TrainingJob.owner_id == of))
    if before is not None:
        page = page.where(tuple_(DriftReport.made_at, DriftReport.id) < before)
    return [(report, owner) for report, owner in await db.execute(page)]
