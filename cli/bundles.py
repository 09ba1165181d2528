"""Bundles that commands name, register and promote."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from data_pipeline.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from app.config import Settings
    from app.models.promotion import Promotion

SHORTEST_ABBREVIATION = 6


def find_bundle(settings: Settings, name: str) -> Path:
    """The folder of a bundle named by path, by id, or by the beginning of its id.

    Raises
    ------
    ConfigurationError : none, or several, are called so.
    """
    from pathlib import Path

    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    folders = sorted(settings.bundles.glob("*/manifest.json")) if len(name) >= SHORTEST_ABBREVIATION else []
    found = [manifest.parent for manifest in folders if manifest.parent.name.startswith(name)]
    if len(found) != 1:
        how_many = "no bundle is" if not found else "several bundles are"
        raise ConfigurationError(f"{how_many} called {name} in {settings.bundles}: `closecast models list` names them")
    return found[0]


def register(settings: Settings, folder: Path) -> str:
    """Check a bundle and make it known to the database; gives its id."""
    return asyncio.run(_register(settings, folder))


async def _register(settings: Settings, folder: Path) -> str:
    from app.features.registry.service import register_bundle
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        return await register_bundle(db, folder)


def promote(settings: Settings, folder: Path, *, force: bool, reason: str | None, by: str) -> Promotion:
    """Register a bundle and make it champion; API processes swap within seconds."""
    return asyncio.run(_promote(settings, folder, force=force, reason=reason, by=by))


async def _promote(settings: Settings, folder: Path, *, force: bool, reason: str | None, by: str) -> Promotion:
    from app.features.registry import service
    from app.supervisor.one_session import one_session

    async with one_session(settings) as db:
        bundle_id = await service.register_bundle(db, folder)
        return await service.promote(db, bundle_id, force=force, reason=reason, by=by)
