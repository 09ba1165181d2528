"""Which exchanges have closed, and which of their tickers lack the newest bar. Calendars are for the worker only."""

import asyncio
from collections.abc import Sequence
from datetime import date, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.features.market_data import crud
from app.models.market_data import WindowFailure


async def final_days(db: AsyncSession, settings: Settings, now: datetime) -> dict[str, date]:
    """The newest trading day whose bars are final, of each exchange that a live source keeps up to date here."""
    from app.features.market_data.collecting import last_final_days

    return await asyncio.to_thread(last_final_days, settings, await crud.live_exchanges(db), now)


async def live_tickers(db: AsyncSession, exchange: str) -> Sequence[str]:
    """Stored tickers of an exchange that a live source keeps up to date."""
    return await crud.live_tickers_before(db, exchange, date.max)


async def failures_of(db: AsyncSession, tickers: Sequence[str]) -> dict[str, str]:
    """Why the newest attempt at a window failed, of those tickers whose attempt did, by ticker."""
    failed = select(WindowFailure.ticker, WindowFailure.detail).where(
        WindowFailure.ticker.in_(tickers), WindowFailure.as_of.is_(None)
    )
    return {row.ticker: row.detail for row in await db.execute(failed.order_by(WindowFailure.ticker))}


def newest_version(settings: Settings) -> int:
    """Number of the newest data version.

    Raises
    ------
    NothingStoredError
    """
    from app.features.market_data.collecting import open_store

    return open_store(settings).version().version
