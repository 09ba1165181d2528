"""A database session of one's own, for what belongs to a process and not to one request."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.database import DatabaseUnavailableError, is_connection_trouble


@asynccontextmanager
async def own_session(sessions: async_sessionmaker[AsyncSession]) -> AsyncIterator[AsyncSession]:
    """One session, closed at the end of the block; what was not committed by then is rolled back.

    Raises
    ------
    DatabaseUnavailableError : PostgreSQL is away or late.
    """
    try:
        async with sessions() as db:
            yield db
    except (DBAPIError, PoolTimeoutError) as error:
        if is_connection_trouble(error):
            raise DatabaseUnavailableError from error
        raise
