"""Being told by PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.database import bounded_connection_string
from app.core.notifications import WINDOW_CHANNEL, NotificationListener

CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
)


@pytest.fixture
async def listener(settings: Settings) -> AsyncIterator[NotificationListener]:
    """A connected listener."""
    listener = NotificationListener(bounded_connection_string(settings))
    listener.start()
    await asyncio.wait_for(listener.connected.wait(), 30)
    yield listener
    await listener.stop()


async def notify(db: AsyncSession, ticker: str) -> None:
    """As the worker does it."""
    await db.execute(text("SELECT pg_notify(:channel, :ticker)"), {"channel": WINDOW_CHANNEL, "ticker": ticker})
    await db.commit()


async def test_who_expects_a_ticker_is_woken_by_it_and_by_no_other(
    listener: NotificationListener, db: AsyncSession
) -> None:
    """Each request waits for its own."""
    with listener.expect(WINDOW_CHANNEL, "AAPL") as apple, listener.expect(WINDOW_CHANNEL, "IBM") as ibm:
        await notify(db, "AAPL")
        await asyncio.wait_for(apple.wait(), 30)

        assert not ibm.is_set()


async def test_a_cut_connection_is_made_again_and_everyone_is_woken(
    listener: NotificationListener, db: AsyncSession
) -> None:
    """What was sent meanwhile is lost: whoever waits must look for himself."""
    told: asyncio.Queue[str | None] = asyncio.Queue()
    listener.on(WINDOW_CHANNEL, told.put)
    with listener.expect(WINDOW_CHANNEL, "AAPL") as apple:
        await db.execute(text(CUT))
        await db.commit()
        await asyncio.wait_for(apple.wait(), 30)

    await notify(db, "IBM")
    assert [await asyncio.wait_for(told.get(), 30) for _ in range(2)] == [None, "IBM"]


async def test_a_handler_that_fails_does_not_end_the_listening(
    listener: NotificationListener, db: AsyncSession
) -> None:
    """A defect in one must not make the process deaf to all others."""

    async def fail(payload: str | None) -> None:
        raise ZeroDivisionError(payload)

    listener.on(WINDOW_CHANNEL, fail)
    for ticker in ("AAPL", "IBM"):
        with listener.expect(WINDOW_CHANNEL, ticker) as told:
            await notify(db, ticker)
            await asyncio.wait_for(told.wait(), 30)

    assert listener.connected.is_set()


async def test_stopping_lets_a_handler_finish(settings: Settings) -> None:
    """Cut off in the middle of a query it would leave a connection open."""
    begun, finished = asyncio.Event(), asyncio.Event()

    async def take_time(payload: str | None) -> None:
        begun.set()
        await asyncio.sleep(0.1)
        finished.set()

    listener = NotificationListener(bounded_connection_string(settings))
    listener.on(WINDOW_CHANNEL, take_time)
    listener.start()
    await asyncio.wait_for(begun.wait(), 30)
    await listener.stop()

    assert finished.is_set()
