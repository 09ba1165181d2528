"""Which bundles there are, and which one is champion by whose decision."""

import asyncio
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.registry import crud
from app.features.registry.errors import BundleNotFoundError, GateEvidenceMissingError, PromotionReasonMissingError
from app.models.promotion import Promotion
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.reference import write_reference_bundle

INSTALLER = "closecast"  # who decided, where nobody was asked


async def register_bundle(db: AsyncSession, folder: Path) -> str:
    """Check a bundle, make it known and commit; gives its id. A second time changes nothing.

    Raises
    ------
    BundleRefusedError : it is not what it says it is.
    """
    bundle = await asyncio.to_thread(load_bundle, folder)
    await crud.add_bundle(db, bundle.bundle_id, bundle.manifest)
    await db.commit()
    return bundle.bundle_id


async def ensure_reference_champion(db: AsyncSession, settings: Settings) -> str:
    """See that the reference bundle lies in the bundles folder and that the ledger has a first line; gives its id.

    Runs after every migration; while any bundle is champion, the ledger stays as it is.
    """
    folder = await asyncio.to_thread(write_reference_bundle, settings.bundles)
    reference = await register_bundle(db, folder)
    await crud.lock_ledger(db)
    if not await crud.newest_promotions(db, limit=1):
        await crud.add_promotion(db, Promotion(bundle_id=reference, kind="reference", decided_by=INSTALLER))
    await db.commit()
    return reference


async def promote(db: AsyncSession, bundle_id: str, *, force: bool, reason: str | None, by: str) -> Promotion:
    """Make a registered bundle champion and commit; every API process swaps within seconds.

    Raises
    ------
    BundleNotFoundError : no such bundle is registered.
    GateEvidenceMissingError : not forced, and there are no figures beside the champion's.
    PromotionReasonMissingError : forced without saying why.
    """
    if not force:
        raise GateEvidenceMissingError(bundle_id)
    if not (reason or "").strip():
        raise PromotionReasonMissingError
    await crud.lock_ledger(db)
    if await crud.find_bundle(db, bundle_id) is None:
        raise BundleNotFoundError(bundle_id)
    former = await crud.newest_promotions(db, limit=1)
    line = Promotion(
        bundle_id=bundle_id,
        previous_bundle_id=former[0].bundle_id if former else None,
        kind="forced",
        decided_by=by,
        reason=reason,
    )
    await crud.add_promotion(db, line)
    await db.commit()
    return line
