"""What nothing refers to any more, and what something does; the caller commits."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Select, Text, and_, cast, delete, exists, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.models.challenge import Challenge, ShadowDecision
from app.models.forecast import Forecast
from app.models.market_data import QualityReportRow
from app.models.promotion import BundleRow, Promotion
from app.models.score import OpenForecast, ScoredSeries
from app.models.serving_window import ServingWindowRow
from app.models.training_job import JobStatus, TrainingJob, TrainingJobEvent
from ml_lifecycle.export.manifest import BundleKind

ABBREVIATION = 6  # characters by which a command may name a bundle, so those by which a job's specification may
UNDER_WAY = (JobStatus.QUEUED, JobStatus.RUNNING)


async def unreferenced_bundles(db: AsyncSession, registered_before: datetime) -> list[tuple[str, datetime]]:
    """Networks registered before an instant to which nothing refers, by id, and when they were registered."""
    found = await db.execute(_unreferenced(registered_before).order_by(BundleRow.registered_at, BundleRow.id))
    return [(row[0], row[1]) for row in found]


async def mark_deleted(db: AsyncSession, bundle_id: str, registered_before: datetime) -> bool:
    """Say of a bundle that its files are deleted, if nothing refers to it still; nobody decides about it meanwhile."""
    await db.execute(text("LOCK TABLE promotions, challenges, shadow_decisions IN SHARE ROW EXCLUSIVE MODE"))
    await db.execute(select(BundleRow.id).where(BundleRow.id == bundle_id).with_for_update())
    unreferenced = _unreferenced(registered_before).where(BundleRow.id == bundle_id)
    if (await db.execute(unreferenced)).first() is None:
        return False
    marked = update(BundleRow).where(BundleRow.id == bundle_id).values(files_deleted_at=func.clock_timestamp())
    await db.execute(marked)
    return True


async def lock_marked(db: AsyncSession, bundle_id: str) -> bool:
    """Whether the files of a bundle are to be deleted; until the commit nobody registers it again."""
    row = select(BundleRow.files_deleted_at).where(BundleRow.id == bundle_id).with_for_update()
    return (await db.scalar(row)) is not None


async def marked_bundles(db: AsyncSession) -> Sequence[str]:
    """Bundles whose files are deleted, or were to be when a clean-up broke off."""
    return (await db.scalars(select(BundleRow.id).where(BundleRow.files_deleted_at.is_not(None)))).all()


async def named_data_versions(db: AsyncSession) -> set[int]:
    """Every data version that a bundle, an unscored forecast, a window to forecast from or a job under way names.

    And every one that scoring has yet to go through: an outcome comes from the first that holds its bar.
    """
    version = BundleRow.manifest["data_version"]["version"].as_integer()
    of_bundles = select(version).where(BundleRow.files_deleted_at.is_(None), version.is_not(None))
    of_forecasts = select(Forecast.data_version).where(_not_scored())
    of_windows, of_scoring = select(ServingWindowRow.data_version), select(ScoredSeries.data_version)
    asked_for = TrainingJob.spec["data_version"].as_integer()
    of_jobs = select(asked_for).where(TrainingJob.status.in_(UNDER_WAY), asked_for.is_not(None))
    named: set[int] = set()
    for versions in (of_bundles, of_forecasts, of_windows, of_scoring, _to_be_scored(), of_jobs):
        named.update((await db.scalars(versions.distinct())).all())
    return named


async def old_job_events(db: AsyncSession, finished_before: datetime) -> list[tuple[UUID, int]]:
    """Jobs that were over before an instant, and how many lines of progress and log each still has."""
    counted = (
        select(TrainingJobEvent.job_id, func.count())
        .join(TrainingJob, TrainingJob.id == TrainingJobEvent.job_id)
        .where(TrainingJob.finished_at < finished_before, TrainingJobEvent.kind != "status")
        .group_by(TrainingJobEvent.job_id)
        .order_by(TrainingJobEvent.job_id)
    )
    return [(row[0], row[1]) for row in await db.execute(counted)]


async def delete_job_events(db: AsyncSession, job_id: UUID) -> None:
    """Delete a job's lines of progress and log; how it went from one status to the next stays."""
    await db.execute(
        delete(TrainingJobEvent).where(TrainingJobEvent.job_id == job_id, TrainingJobEvent.kind != "status")
    )


def _unreferenced(registered_before: datetime) -> Select[str, datetime]:
    names = or_(Promotion.bundle_id == BundleRow.id, Promotion.previous_bundle_id == BundleRow.id)
    challenged = or_(Challenge.bundle_id == BundleRow.id, Challenge.champion_id == BundleRow.id)
    beginning = func.left(BundleRow.id, ABBREVIATION)
    in_a_job = func.strpos(cast(TrainingJob.spec, Text), beginning) > 0
    # Any job of the queue whose arguments name it: a challenge that waits for the worker.
    not_waiting = text(
        "NOT EXISTS (SELECT 1 FROM procrastinate_jobs "
        "WHERE status IN ('todo', 'doing') AND args->>'bundle_id' = bundles.id)"
    )
    return select(BundleRow.id, BundleRow.registered_at).where(
        BundleRow.kind == BundleKind.NETWORK.value,
        BundleRow.files_deleted_at.is_(None),
        BundleRow.registered_at < registered_before,
        ~exists().where(names),
        ~exists().where(challenged),
        ~exists().where(ShadowDecision.bundle_id == BundleRow.id),
        ~exists().where(and_(Forecast.bundle_id == BundleRow.id, _not_scored())),
        ~exists().where(and_(TrainingJob.status.in_(UNDER_WAY), in_a_job)),
        not_waiting,
    )


def _to_be_scored() -> Select[int]:
    """Data versions of a ticker that no scoring run has gone through and that may hold outcomes of its forecasts."""
    report, scored = QualityReportRow, ScoredSeries
    waits = and_(
        Forecast.ticker == report.ticker,
        Forecast.data_table_id == report.table_id,
        Forecast.data_version < report.version,
        _not_scored(),
    )
    gone_through = and_(
        scored.ticker == report.ticker, scored.data_table_id == report.table_id, scored.data_version >= report.version
    )
    return select(report.version).where(exists().where(waits), ~exists().where(gone_through))


def _not_scored() -> ColumnElement[bool]:
    """Of a forecast: its last step has no outcome yet, whatever the others have."""
    return exists().where(OpenForecast.forecast_id == Forecast.id)
