"""What the tests of the chain and of the sums share."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.config import Settings
from app.core.database import database_url


@pytest.fixture
async def engine(settings: Settings) -> AsyncIterator[AsyncEngine]:
    """For what is done and undone again."""
    engine = create_async_engine(database_url(settings))
    yield engine
    await engine.dispose()
