"""Database sessions for a command, which has no pool to share."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import create_engine, session_factory

T = TypeVar("T")


@asynccontextmanager
async def own_sessions(settings: Settings) -> AsyncIterator[async_sessionmaker[AsyncSession]]:
    """Sessions on an engine of their own, which is closed at the end of the block."""
    engine = create_engine(settings)
    try:
        yield session_factory(engine)
    finally:
        await engine.dispose()


async def with_own_sessions(settings: Settings, work: Callable[[async_sessionmaker[AsyncSession]], Awaitable[T]]) -> T:
    """What ``work`` gives on such sessions."""
    async with own_sessions(settings) as sessions:
        return await work(sessions)


@asynccontextmanager
async def one_session(settings: Settings) -> AsyncIterator[AsyncSession]:
    """One session, closed at the end of the block; the caller commits."""
    async with own_sessions(settings) as sessions, sessions() as session:
        yield session
