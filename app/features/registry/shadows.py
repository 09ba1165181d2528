"""Shadows: challengers whose forecasts are frozen beside the champion's, served to nobody, scored alike."""

from sqlalchemy.ext.asyncio import AsyncSession

from app.features.registry import crud
from app.features.registry.errors import BundleNotFoundError, TooManyShadowsError
from app.models.challenge import ShadowDecision

MOST_SHADOWS = 4


async def decide(db: AsyncSession, bundle_id: str, *, shadowing: bool, reason: str | None, by: str) -> ShadowDecision:
    """Begin or end a bundle's time as a shadow, and commit; the worker forecasts with it from the next minute on.

    Raises
    ------
    BundleNotFoundError : no such bundle is registered.
    TooManyShadowsError
    """
    await crud.lock_ledger(db)
    if await crud.find_bundle(db, bundle_id) is None:
        raise BundleNotFoundError(bundle_id)
    others = [line for line in await crud.shadows(db) if line.bundle_id != bundle_id]
    if shadowing and len(others) >= MOST_SHADOWS:
        raise TooManyShadowsError(MOST_SHADOWS)
    line = ShadowDecision(bundle_id=bundle_id, shadowing=shadowing, reason=reason, decided_by=by)
    await crud.add_shadow_decision(db, line)
    await db.commit()
    return line
