"""Rows of bundles and of the promotion ledger; the caller commits."""

from collections.abc import Sequence

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from app.core.notifications import CHAMPION_CHANNEL
from app.models.promotion import BundleRow, Promotion
from ml_lifecycle.export.manifest import Manifest


async def add_bundle(db: AsyncSession, bundle_id: str, manifest: Manifest) -> None:
    """Insert one bundle; nothing happens where it is registered already."""
    statement = insert(BundleRow).values(
        id=bundle_id,
        kind=manifest.kind.value,
        created_at=manifest.created_at,
        train_end=manifest.train_end,
        calibration_end=manifest.calibration_end,
        manifest=manifest.model_dump(mode="json"),
    )
    await db.execute(statement.on_conflict_do_nothing(index_elements=[BundleRow.id]))


async def find_bundle(db: AsyncSession, bundle_id: str) -> BundleRow | None:
    """One bundle with its manifest."""
    return await db.get(BundleRow, bundle_id, options=[undefer(BundleRow.manifest)])


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
    await db.execute(
        text("SELECT pg_notify(:channel, :bundle_id)"),
        {"channel": CHAMPION_CHANNEL, "bundle_id": promotion.bundle_id},
    )
    return promotion
