"""What must be true of the database before any process uses it."""

import asyncio

from app.config import Settings
from app.core.database import connection_string
from app.core.migrations import upgrade
from app.features.registry.service import ensure_reference_champion
from app.supervisor.one_session import one_session


def prepare_database(settings: Settings) -> None:
    """Bring the schema up to date and see that a champion is there: the reference, on an empty installation."""
    upgrade(connection_string(settings))
    asyncio.run(_ensure_champion(settings))


async def _ensure_champion(settings: Settings) -> None:
    async with one_session(settings) as db:
        await ensure_reference_champion(db, settings)
