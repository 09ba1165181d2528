"""What whoever owns the database can do to it past the triggers, and have undone again."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

GUARDED = ("forecasts", "scores", "chain_days", "chain_seals")
SWITCHED_OFF = [f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in GUARDED]


@asynccontextmanager
async def tampered(engine: AsyncEngine, *statements: str) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """The database as it is after these statements of a superuser, undone afterwards."""
    async with engine.connect() as connection, connection.begin() as transaction:
        for statement in (*SWITCHED_OFF, *statements):
            await connection.execute(text(statement))
        yield async_sessionmaker(connection, join_transaction_mode="create_savepoint")
        await transaction.rollback()
