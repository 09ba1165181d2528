"""The window that a forecast is made from: the stored one, or one that the worker is asked for."""

import asyncio
from bisect import bisect_right
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import COLLECT, PUBLISH_WINDOW, defer
from app.core.notifications import WINDOW_CHANNEL, NotificationListener
from app.features.market_data import crud
from app.features.market_data.errors import CollectionPendingError, NewTickerQuotaError, StaleBarsError
from app.features.market_data.failures import raise_failure
from app.models.serving_window import ServingWindowRow

REFRESH_PAUSE_SECONDS = 30.0  # how often one process asks for one stale ticker


class WindowDesk:
    """Finds windows; where there is none, asks the worker for it and waits a while.

    Parameters
    ----------
    listener : tells when a window, or the failure to get one, was stored.
    settings : how long to wait, how old bars may be, how many new tickers a user may ask for.
    """

    def __init__(self, listener: NotificationListener, settings: Settings) -> None:
        self._listener = listener
        self._settings = settings
        self._refresh_asked_at: dict[str, float] = {}

    async def find(self, db: AsyncSession, ticker: str, as_of: date | None, user_id: UUID) -> ServingWindowRow:
        """The newest window, or the one of ``as_of``; no connection is held while waiting.

        Raises
        ------
        PriceSourceError : the source does not have the ticker, or had trouble a moment ago.
        CollectionPendingError : the worker has not answered in time.
        NewTickerQuotaError : the user asked for too many new tickers today.
        StaleBarsError : a live ticker's bars are older than the limit.
        """
        newest = await crud.find_window(db, ticker)
        if newest is None:
            newest = await self._collect(db, ticker, user_id)
        if as_of is not None and as_of < newest.cutoff:
            return await crud.find_window(db, ticker, as_of=as_of) or await self._build(db, ticker, as_of)
        await self._require_fresh(db, newest)
        return newest

    async def _collect(self, db: AsyncSession, ticker: str, user_id: UUID) -> ServingWindowRow:
        await raise_failure(db, ticker)
        await self._count_new_ticker(db, ticker, user_id)
        return await self._ask_worker(db, COLLECT, ticker, None, lock=ticker, arguments={"ticker": ticker})

    async def _build(self, db: AsyncSession, ticker: str, as_of: date) -> ServingWindowRow:
        await raise_failure(db, ticker, as_of=as_of)
        arguments = {"ticker": ticker, "as_of": as_of.isoformat()}
        return await self._ask_worker(db, PUBLISH_WINDOW, ticker, as_of, lock=f"{ticker}@{as_of}", arguments=arguments)

    async def _ask_worker(
        self, db: AsyncSession, task: str, ticker: str, as_of: date | None, *, lock: str, arguments: Mapping[str, str]
    ) -> ServingWindowRow:
        """Enqueue, commit, wait for the notification, look again."""
        deadline = asyncio.get_running_loop().time() + self._settings.collect_wait_seconds
        with self._listener.expect(WINDOW_CHANNEL, ticker) as arrived:
            await defer(db, task, lock=lock, **arguments)
            await db.commit()
            while True:
                try:
                    async with asyncio.timeout_at(deadline):
                        await arrived.wait()
                except TimeoutError:
                    pass
                timed_out = not arrived.is_set()
                arrived.clear()
                if (window := await crud.find_window(db, ticker, as_of=as_of)) is not None:
                    return window
                await raise_failure(db, ticker, as_of=as_of)
                await db.commit()  # gives the connection back for the next wait
                if timed_out:
                    raise CollectionPendingError(ticker)

    async def _count_new_ticker(self, db: AsyncSession, ticker: str, user_id: UUID) -> None:
        now = datetime.now(UTC)
        limit = self._settings.new_tickers_per_day
        if await crud.count_new_ticker(db, user_id, now.date(), ticker) > limit:
            midnight = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=UTC)
            raise NewTickerQuotaError(limit, (midnight - now).total_seconds())

    async def _require_fresh(self, db: AsyncSession, window: ServingWindowRow) -> None:
        """Have a live window that lacks bars refreshed; refuse it where it lacks too many."""
        missing = missing_days(window, datetime.now(UTC))
        if not window.live or not missing:
            return
        if self._is_time_to_ask(window.ticker):
            await defer(db, COLLECT, lock=window.ticker, ticker=window.ticker)
            await db.commit()
        if missing > self._settings.stale_after_days:
            raise StaleBarsError(window.ticker, window.cutoff, missing)

    def _is_time_to_ask(self, ticker: str) -> bool:
        now = asyncio.get_running_loop().time()
        if now - self._refresh_asked_at.get(ticker, -REFRESH_PAUSE_SECONDS) < REFRESH_PAUSE_SECONDS:
            return False
        self._refresh_asked_at[ticker] = now
        return True


def missing_days(window: ServingWindowRow, now: datetime) -> int:
    """Trading days after the cutoff whose bars are final by ``now``; the window names its instants itself."""
    return bisect_right(window.known_at, now)


def is_stale(window: ServingWindowRow, now: datetime) -> bool:
    """Whether there is, or never will be, a newer bar than the window's last."""
    return not window.live or missing_days(window, now) > 0
