"""Bundles that commands name, register and promote."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from app.features.registry.folders import find_bundle as find_bundle
from app.features.registry.folders import register as register

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from app.config import Settings
    from app.features.registry.promotion import Contest
    from app.models.challenge import Challenge, ShadowDecision
    from app.models.promotion import Promotion
    from ml_lifecycle.evaluation.gate import GateVerdict


def _checked(reason: str | None) -> str | None:
    """A reason that the ledger may keep: what is refused over HTTP is refused here.

    Raises
    ------
    pydantic.ValidationError : it is too long, or holds control characters.
    """
    from app.features.registry.schemas import RollBackWish

    return RollBackWish(reason=reason).reason


def force(settings: Settings, folder: Path, *, reason: str | None, by: str) -> Promotion:
    """Register a bundle and make it champion without the gate; API processes swap within seconds."""
    return asyncio.run(_force(settings, folder, reason=_checked(reason), by=by))


async def _force(settings: Settings, folder: Path, *, reason: str | None, by: str) -> Promotion:
    from app.features.registry import promotion, service
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        bundle_id = await service.register_bundle(db, folder)
        return await promotion.force(db, bundle_id, reason=reason, by=by)


def challenge(
    settings: Settings, folder: Path, *, by: str, progress: Callable[[int, int], None] | None = None
) -> Challenge:
    """Register a bundle, judge it against the champion in this process, and record what came of it.

    Parameters
    ----------
    progress : called with (tickers done, tickers in all).
    """
    from uuid import uuid4

    from app.features.registry.judging import verdict_on
    from app.features.registry.promotion import Contest

    bundle_id, champion_id = asyncio.run(_contestants(settings, folder))
    verdict = verdict_on(settings, folder, settings.bundles / champion_id, progress=progress)
    return asyncio.run(_decide(settings, Contest(uuid4(), bundle_id, champion_id, by), verdict))


async def _contestants(settings: Settings, folder: Path) -> tuple[str, str]:
    from app.features.registry import promotion, service
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        bundle_id = await service.register_bundle(db, folder)
        return bundle_id, await promotion.champion_of(db, bundle_id)


async def _decide(settings: Settings, contest: Contest, verdict: GateVerdict) -> Challenge:
    from app.features.registry import promotion
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        return await promotion.decide(db, contest, verdict)


def roll_back(settings: Settings, *, reason: str | None, by: str) -> Promotion:
    """Make the champion before the present one champion again."""
    return asyncio.run(_roll_back(settings, reason=_checked(reason), by=by))


async def _roll_back(settings: Settings, *, reason: str | None, by: str) -> Promotion:
    from app.features.registry import promotion
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        return await promotion.roll_back(db, reason=reason, by=by)


def decide_shadow(settings: Settings, folder: Path, *, shadowing: bool, reason: str | None, by: str) -> ShadowDecision:
    """Register a bundle and begin, or end, its time as a shadow."""
    return asyncio.run(_decide_shadow(settings, folder, shadowing=shadowing, reason=_checked(reason), by=by))


async def _decide_shadow(
    settings: Settings, folder: Path, *, shadowing: bool, reason: str | None, by: str
) -> ShadowDecision:
    from app.features.registry import service, shadows
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        bundle_id = await service.register_bundle(db, folder)
        return await shadows.decide(db, bundle_id, shadowing=shadowing, reason=reason, by=by)
