"""What must be true of the database before any process uses it."""

import asyncio
import time

import psycopg

from app.config import Settings
from app.core.database import bounded_connection_string, connection_string
from app.core.migrations import newest_revision, serves, stored_revision, upgrade
from app.features.registry.service import ensure_reference_champion
from app.supervisor.errors import ServiceError
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


def require_schema(settings: Settings, seconds: float) -> None:
    """Return as soon as this release can work on the database, which somebody else migrates.

    Raises
    ------
    ServiceError : after ``seconds`` it cannot; the message tells which revision is missing.
    """
    wait_for_database(settings, seconds)
    deadline, wanted = time.monotonic() + seconds, newest_revision()
    while not serves(found := stored_revision(connection_string(settings)), wanted):
        if time.monotonic() > deadline:
            raise ServiceError(
                f"the database is at {found or 'no revision'}, {wanted} is needed: run `closecast migrate`"
            )
        time.sleep(0.5)


def prepare_database(settings: Settings) -> None:
    """Bring the schema up to date and see that a champion is there: the reference, on an empty installation."""
    upgrade(connection_string(settings))
    asyncio.run(_ensure_champion(settings))


async def _ensure_champion(settings: Settings) -> None:
    async with one_session(settings) as db:
        await ensure_reference_champion(db, settings)
