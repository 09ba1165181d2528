"""What must be true of the database before any process uses it."""

import asyncio
import time

import psycopg

from app.config import Settings
from app.core.database import bounded_connection_string, connection_string
from app.core.migrations import upgrade
from app.features.registry.service import ensure_reference_champion
from app.supervisor.one_session import one_session


def wait_for_database(settings: Settings, seconds: float) -> None:
    """Return as soon as the database takes a connection; after ``seconds`` its refusal is raised."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(bounded_connection_string(settings)).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return


def prepare_database(settings: Settings) -> None:
    """Bring the schema up to date and see that a champion is there: the reference, on an empty installation."""
    upgrade(connection_string(settings))
    asyncio.run(_ensure_champion(settings))


async def _ensure_champion(settings: Settings) -> None:
    async with one_session(settings) as db:
        await ensure_reference_champion(db, settings)
