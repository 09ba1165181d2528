"""Drift reports: asked for as a job, or made by the command line and the chain after a close; kept and read here."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.paging import decode_cursor, encode_cursor, page_of
from app.features.drift import crud
from app.features.drift.drift_spec import DriftSpec
from app.features.drift.errors import DriftReportNotFoundError
from app.features.drift.schemas import DriftRead, DriftWish
from app.features.registry.service import champion_and_shadows
from app.features.training.service import start_job
from app.models.drift import DriftReport
from app.models.training_job import JobKind
from app.schemas.page import Page
from data_pipeline.ticker import parse_ticker

if TYPE_CHECKING:
    from app.features.drift.measuring import Measured


async def ask(db: AsyncSession, wish: DriftWish, *, owner: UUID) -> DriftRead:
    """Have a comparison made by a job, in this transaction, and commit.

    Raises
    ------
    MalformedTickerError
    """
    named = wish.model_dump(exclude_none=True, exclude={"ticker", "tickers"})
    spec = {**named, "tickers": [parse_ticker(ticker) for ticker in wish.named], "asked_by": f"user {owner}"}
    job = await start_job(db, kind=JobKind.DRIFT, spec=spec, owner=owner, reason=f"user {owner}")
    await db.commit()
    return DriftRead.of_job(job)


async def read(db: AsyncSession, report_id: UUID) -> DriftRead:
    """One report, or how the job that makes it stands.

    Raises
    ------
    DriftReportNotFoundError
    """
    report = await crud.find_report(db, report_id)
    if report is not None:
        return DriftRead.of_report(report)
    job = await crud.find_job(db, report_id)
    if job is None:
        raise DriftReportNotFoundError(report_id)
    return DriftRead.of_job(job)


async def find_report(db: AsyncSession, report_id: UUID) -> DriftReport | None:
    """A report that was made."""
    return await crud.find_report(db, report_id)


async def list_reports(db: AsyncSession, *, cursor: str | None, limit: int) -> Page[DriftRead]:
    """One page of what was found, newest first.

    Raises
    ------
    InvalidCursorError
    """
    rows = await crud.list_reports(db, limit=limit + 1, before=decode_cursor(cursor))
    return page_of(
        rows,
        limit,
        item=DriftRead.of_report,
        cursor=lambda _: encode_cursor(rows[limit - 1].made_at, rows[limit - 1].id),
    )


async def with_champion(db: AsyncSession, asked: DriftSpec) -> DriftSpec:
    """``asked`` with the champion's id where no bundle is named."""
    champion_id, _ = await champion_and_shadows(db)
    return asked if asked.bundle is not None else asked.model_copy(update={"bundle": champion_id})


async def keep(db: AsyncSession, measured: "Measured", *, asked: DriftSpec) -> DriftReport:
    """Store what was found; the caller commits. A job that is run again stores nothing twice."""
    values = as_values(measured) | {"asked_by": asked.asked_by}
    return await crud.add_report(db, {"id": UUID(asked.job_id) if asked.job_id else uuid4(), **values})


def as_values(measured: "Measured") -> dict[str, Any]:
    """The columns of a report, as JSON can tell them."""
    error = measured.error
    return {
        "bundle_id": measured.bundle_id,
        "reference_version": measured.reference_version,
        "production_version": measured.production_version,
        "days": measured.days,
        "tickers": list(measured.tickers),
        "columns": [asdict(each) for each in measured.columns],
        "error": None
        if error is None
        else {
            **asdict(error),
            "changes": [{**asdict(each), "day": each.day.isoformat()} for each in error.changes],
        },
        "coverage": [asdict(each) for each in measured.coverage],
        "recommendation": measured.recommendation.verdict.value,
        "reason": measured.recommendation.reason,
        "causes": [cause.value for cause in measured.recommendation.causes],
    }
