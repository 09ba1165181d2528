"""Drift reports: asked for as a job, or made by the command line and the chain after a close; kept and read here."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy.ext.asyncio import AsyncSession

from app.core.paging import decode_cursor, encode_cursor, page_of
from app.core.security import Principal
from app.features.drift import crud
from app.features.drift.drift_spec import DriftSpec
from app.features.drift.errors import DriftReportNotFoundError
from app.features.drift.schemas import DriftRead, DriftWish
from app.features.market_data.service import require_bars, require_version
from app.features.registry.service import champion_and_shadows, require_bundle
from app.features.training.service import start_job
from app.models.drift import DriftReport
from app.models.training_job import JobKind
from app.models.user import Scope
from app.schemas.page import Page
from data_pipeline.ticker import parse_ticker

if TYPE_CHECKING:
    from app.features.drift.measuring import Measured


async def ask(db: AsyncSession, wish: DriftWish, *, owner: UUID) -> DriftRead:
    """Have a comparison made by a job, in this transaction, and commit.

    Raises
    ------
    MalformedTickerError
    TickerNotStoredError, NothingStoredError, DataVersionNotFoundError, BundleNotFoundError : it would wait for nothing.
    DriftInProgressError : the owner has one that has not ended.
    """
    tickers = [parse_ticker(ticker) for ticker in wish.named]
    await require_bars(db, tickers)
    for version in (wish.reference_version, wish.production_version):
        await require_version(db, version)
    if wish.bundle is not None:
        await require_bundle(db, wish.bundle)
    named = wish.model_dump(exclude_none=True, exclude={"ticker", "tickers"})
    spec = {**named, "tickers": tickers, "asked_by": f"user {owner}"}
    job = await start_job(db, kind=JobKind.DRIFT, spec=spec, owner=owner, reason=f"user {owner}")
    await db.commit()
    return DriftRead.of_job(job)


async def read(db: AsyncSession, report_id: UUID, caller: Principal) -> DriftRead:
    """One report, or how the job that makes it stands; what another user asked for is not there.

    Raises
    ------
    DriftReportNotFoundError
    """
    job = await crud.find_job(db, report_id)
    if job is not None and not _may_see(job.owner_id, caller):
        raise DriftReportNotFoundError(report_id)
    report = await crud.find_report(db, report_id)
    if report is not None:
        return _shown(report, None if job is None else job.owner_id, caller)
    if job is None:
        raise DriftReportNotFoundError(report_id)
    return DriftRead.of_job(job)


async def find_report(db: AsyncSession, report_id: UUID) -> DriftReport | None:
    """A report that was made."""
    return await crud.find_report(db, report_id)


async def list_reports(db: AsyncSession, caller: Principal, *, cursor: str | None, limit: int) -> Page[DriftRead]:
    """One page of what was found, newest first: what the caller asked for, and what no user did.

    Raises
    ------
    InvalidCursorError
    """
    of = None if Scope.ADMIN in caller.scopes else caller.user_id
    rows = await crud.list_reports(db, of=of, limit=limit + 1, before=decode_cursor(cursor))
    return page_of(
        rows,
        limit,
        item=lambda row: _shown(*row, caller),
        cursor=lambda _: encode_cursor(rows[limit - 1][0].made_at, rows[limit - 1][0].id),
    )


def _may_see(owner: UUID | None, caller: Principal) -> bool:
    """The schedule's are everybody's."""
    return owner in (None, caller.user_id) or Scope.ADMIN in caller.scopes


def _shown(report: DriftReport, owner: UUID | None, caller: Principal) -> DriftRead:
    """Who asked is said to that user and to administrators."""
    told = DriftRead.of_report(report)
    is_told_who = owner == caller.user_id or Scope.ADMIN in caller.scopes
    return told if is_told_who else told.model_copy(update={"asked_by": None})


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
