"""Clean-up and backup keep out of each other's way: a lock in the database, gone with whoever holds it."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from data_pipeline.errors import ClosecastError

KEY = 0x636C65616E  # any number, the same for every process


class BusyError(ClosecastError):
    """A backup and a clean-up would be at work at once: repeat in some minutes."""


@contextmanager
def held_off(url: str) -> Iterator[None]:
    """No clean-up deletes anything while the block runs; several blocks may run at once.

    Raises
    ------
    BusyError : a clean-up is at work.
    """
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute("SELECT pg_try_advisory_lock_shared(%s)", [KEY]).fetchone()
        if row is None or not row[0]:
            raise BusyError("a clean-up is at work: repeat in some minutes")
        yield


@asynccontextmanager
async def alone(db: AsyncSession) -> AsyncIterator[None]:
    """Nobody who must not have anything deleted, and no second clean-up, while the block runs.

    Raises
    ------
    BusyError : somebody is.
    """
    if not isinstance(db.bind, AsyncEngine):
        raise TypeError("a session on a connection of its own has no second one to hold the lock")
    async with db.bind.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")  # it is idle for long, and no transaction is
        if not await connection.scalar(text("SELECT pg_try_advisory_lock(:key)"), {"key": KEY}):
            raise BusyError("a backup or another clean-up is at work: repeat in some minutes")
        try:
            yield
        finally:
            await connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": KEY})
