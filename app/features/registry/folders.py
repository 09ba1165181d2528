"""Bundles as folders, for whoever has no session open: commands, and the processes that train."""

import asyncio
from pathlib import Path

from app.config import Settings
from app.features.registry.service import register_bundle
from app.supervisor.one_session import one_session
from data_pipeline.errors import ConfigurationError

SHORTEST_ABBREVIATION = 6


def find_bundle(settings: Settings, name: str) -> Path:
    """The folder of a bundle named by path, by id, or by the beginning of its id.

    Raises
    ------
    ConfigurationError : none, or several, are called so.
    """
    if (Path(name) / "manifest.json").is_file():
        return Path(name)
    folders = sorted(settings.bundles.glob("*/manifest.json")) if len(name) >= SHORTEST_ABBREVIATION else []
    found = [manifest.parent for manifest in folders if manifest.parent.name.startswith(name)]
    if len(found) != 1:
        how_many = "no bundle is" if not found else "several bundles are"
        raise ConfigurationError(f"{how_many} called {name} in {settings.bundles}: `closecast models list` names them")
    return found[0]


def register(settings: Settings, folder: Path) -> str:
    """Check a bundle and make it known to the database; gives its id.

    Raises
    ------
    BundleRefusedError : it is not what it says it is.
    """
    return asyncio.run(_register(settings, folder))


async def _register(settings: Settings, folder: Path) -> str:
    async with one_session(settings) as db:
        return await register_bundle(db, folder)
