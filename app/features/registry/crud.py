"""Rows of bundles and of the promotion ledger; the caller commits."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app.core.notifications import CHAMPION_CHANNEL
from app.models.challenge import Challenge, ShadowDecision
from app.models.live_skill import LiveSkill
from app.models.promotion import BundleRow, Promotion
from ml_lifecycle.export.manifest import Manifest


async def add_bundle(db: AsyncSession, bundle_id: str, manifest: Manifest) -> None:
    """Insert one bundle; of one that is registered already, its files are known to be there again."""
    statement = insert(BundleRow).values(
        id=bundle_id,
        kind=manifest.kind.value,
        created_at=manifest.created_at,
        train_end=manifest.train_end,
        calibration_end=manifest.calibration_end,
        manifest=manifest.model_dump(mode="json"),
    )
    again = statement.on_conflict_do_update(
        index_elements=[BundleRow.id], set_={"files_deleted_at": None}, where=BundleRow.files_deleted_at.is_not(None)
    )
    await db.execute(again)


async def find_bundle(db: AsyncSession, bundle_id: str) -> BundleRow | None:
    """One bundle with its manifest."""
    return await db.get(BundleRow, bundle_id, options=[undefer(BundleRow.manifest)])


async def scores_of(db: AsyncSession, bundle_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Figures that bundles hold of themselves, without the rest of their manifests."""
    rows = select(BundleRow.id, BundleRow.manifest["scores"]).where(BundleRow.id.in_(bundle_ids))
    return {bundle_id: scores or [] for bundle_id, scores in await db.execute(rows)}


async def list_bundles(db: AsyncSession, *, limit: int) -> Sequence[BundleRow]:
    """The newest bundles first, without their manifests."""
    newest = select(BundleRow).order_by(BundleRow.registered_at.desc(), BundleRow.id).limit(limit)
    return (await db.scalars(newest)).all()


async def newest_promotions(db: AsyncSession, *, limit: int, before: int | None = None) -> Sequence[Promotion]:
    """Lines of the ledger, newest first; ``before``: only those older than that line."""
    lines = select(Promotion).order_by(Promotion.id.desc()).limit(limit)
    if before is not None:
        lines = lines.where(Promotion.id < before)
    return (await db.scalars(lines)).all()


async def all_promotions(db: AsyncSession) -> Sequence[Promotion]:
    """The whole ledger, oldest line first."""
    return (await db.scalars(select(Promotion).order_by(Promotion.id))).all()


async def first_promotion(db: AsyncSession) -> Promotion | None:
    """The line that made the reference champion of an empty installation."""
    return await db.scalar(select(Promotion).where(Promotion.kind == "reference").order_by(Promotion.id).limit(1))


async def lock_ledger(db: AsyncSession) -> None:
    """Wait until no other transaction is deciding about the champion; readers are not held up."""
    await db.execute(text("LOCK TABLE promotions IN SHARE ROW EXCLUSIVE MODE"))


async def add_promotion(db: AsyncSession, promotion: Promotion) -> Promotion:
    """Append one line; at the commit every process hears of it."""
    db.add(promotion)
    await db.flush()
    await tell_champions(db, promotion.bundle_id)
    return promotion


async def tell_champions(db: AsyncSession, told: str) -> None:
    """Have every process reload, at the commit; ``told`` as ``ChampionHolder.reload`` takes it."""
    await db.execute(text("SELECT pg_notify(:channel, :told)"), {"channel": CHAMPION_CHANNEL, "told": told})


async def live_figures(db: AsyncSession, bundle_ids: Collection[str]) -> Sequence[LiveSkill]:
    """Figures of the live forecasts of some bundles, as the newest scoring run left them."""
    rows = select(LiveSkill).where(LiveSkill.kind == "live", LiveSkill.bundle_id.in_(bundle_ids))
    return (await db.scalars(rows)).all()


async def newest_figures_at(db: AsyncSession) -> datetime | None:
    """When any bundle last got figures of its forecasts; None before the first."""
    return await db.scalar(select(func.max(LiveSkill.computed_at)))


async def count_tests(db: AsyncSession, champion_id: str, *, since: datetime) -> int:
    """How many challenges of a champion were tested since an instant, passed or not."""
    tested = select(func.count()).where(
        Challenge.champion_id == champion_id, Challenge.decided_at > since, Challenge.test_number.is_not(None)
    )
    return await db.scalar(tested) or 0


async def lock_challenges(db: AsyncSession, bundle_id: str) -> None:
    """Wait until no other transaction is asking for a challenge by this bundle."""
    lock = text("SELECT pg_advisory_xact_lock(hashtextextended('closecast challenge ' || :bundle, 0))")
    await db.execute(lock, {"bundle": bundle_id})


async def add_challenge(db: AsyncSession, challenge: Challenge) -> Challenge:
    """Append one decided challenge; the instant is the database's."""
    db.add(challenge)
    await db.flush()
    return challenge


async def find_challenge(db: AsyncSession, challenge_id: UUID) -> Challenge | None:
    """One decided challenge."""
    return await db.get(Challenge, challenge_id)


async def list_challenges(db: AsyncSession, *, limit: int, before: tuple[datetime, UUID] | None) -> Sequence[Challenge]:
    """Decided challenges, newest first."""
    lines = select(Challenge).order_by(Challenge.decided_at.desc(), Challenge.id.desc()).limit(limit)
    if before is not None:
        lines = lines.where(tuple_(Challenge.decided_at, Challenge.id) < before)
    return (await db.scalars(lines)).all()


async def find_challenge_job(
    db: AsyncSession, task: str, *, challenge_id: UUID | None = None, bundle_id: str | None = None
) -> tuple[UUID, str, str] | None:
    """Challenge, bundle and status of a job that was not done yet, or that broke off; named by either of the former."""
    found = await db.execute(
        text(
            "SELECT (args->>'challenge_id')::uuid, args->>'bundle_id', status::text FROM procrastinate_jobs "
            "WHERE task_name = :task AND (args->>'challenge_id' = :challenge_id OR "
            "(args->>'bundle_id' = :bundle_id AND status IN ('todo', 'doing'))) ORDER BY id DESC LIMIT 1"
        ),
        {"task": task, "challenge_id": str(challenge_id), "bundle_id": bundle_id},
    )
    row = found.one_or_none()
    return None if row is None else (row[0], row[1], row[2])


async def add_shadow_decision(db: AsyncSession, decision: ShadowDecision) -> ShadowDecision:
    """Append one line about a shadow."""
    db.add(decision)
    await db.flush()
    return decision


async def shadows(db: AsyncSession) -> Sequence[ShadowDecision]:
    """The newest line of each bundle that is a shadow now."""
    newest = select(func.max(ShadowDecision.id)).group_by(ShadowDecision.bundle_id)
    lines = select(ShadowDecision).where(ShadowDecision.id.in_(newest), ShadowDecision.shadowing)
    return (await db.scalars(lines.order_by(ShadowDecision.id))).all()
