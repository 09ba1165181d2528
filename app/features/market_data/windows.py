"""The window that a forecast is made from: the stored one, or one that the worker is asked for."""

import asyncio
import contextlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app.config import Settings
from app.core.bounded_cache import BoundedCache
from app.core.jobs import COLLECT, PUBLISH_WINDOW, defer
from app.core.notifications import WINDOW_CHANNEL, NotificationListener
from app.core.single_flight import SingleFlight
from app.features.market_data import crud
from app.features.market_data.errors import CollectionPendingError, NewTickerQuotaError, StaleBarsError
from app.features.market_data.failures import raise_failure
from app.models.serving_window import ServingWindowRow

REFRESH_PAUSE_SECONDS = 30.0  # how often one process asks for one stale ticker
REMEMBERED_WINDOWS = 10_000  # without their bars: about a kilobyte each


Engine = AsyncEngine | AsyncConnection | None  # what a session is bound to


class Job(NamedTuple):
    """What the worker is asked to do."""

    task: str
    lock: str
    arguments: Mapping[str, str]


class WindowDesk:
    """Finds windows; where there is none, asks the worker for it and waits a while.

    The newest windows are remembered, without their bars, for as long as notifications come in: each new one is told.

    Parameters
    ----------
    listener : tells when a window, or the failure to get one, was stored.
    settings : how long to wait, how old bars may be, how many new tickers a user may ask for.
    """

    def __init__(self, listener: NotificationListener, settings: Settings) -> None:
        self._listener = listener
        self._settings = settings
        self._newest: BoundedCache[str, ServingWindowRow] = BoundedCache(REMEMBERED_WINDOWS)
        self._news = 0  # how many notifications came: what was read before one of them may be outdated by it
        self._refresh_asked_at: BoundedCache[str, float] = BoundedCache(REMEMBERED_WINDOWS)
        self._reading: SingleFlight[str, ServingWindowRow | None] = SingleFlight()
        self._asking: SingleFlight[tuple[UUID, str, date | None], ServingWindowRow] = SingleFlight()
        listener.on(WINDOW_CHANNEL, self._forget)

    async def find(
        self,
        db: AsyncSession,
        ticker: str,
        as_of: date | None,
        user_id: UUID,
        *,
        stored: Mapping[str, ServingWindowRow] | None = None,
        wait: bool = True,
    ) -> ServingWindowRow:
        """The newest window, or the one of ``as_of``; no connection is held while waiting.

        ``stored`` is what ``find_stored`` found where the caller looked there: nobody looks again. ``wait`` False: what
        has to be fetched or built first is asked for, and CollectionPendingError raised at once.

        Raises
        ------
        PriceSourceError : the source does not have the ticker, or had trouble a moment ago.
        CollectionPendingError : the worker has not answered in time.
        CollectionFailedError : the worker could not prepare it a moment ago.
        NewTickerQuotaError : the user asked for too many new tickers, or past days of them, today.
        StaleBarsError : a live ticker's bars are older than the limit.
        """
        newest = await self._find_newest(db, ticker) if stored is None else stored.get(ticker)
        newest = newest or await self._ask_for(db, ticker, None, user_id, wait=wait)
        if as_of is not None and as_of < newest.cutoff:
            kept = await crud.find_window(db, ticker, as_of=as_of)
            return kept or await self._ask_for(db, ticker, as_of, user_id, wait=wait)
        await self._require_fresh(db, newest)
        return newest

    def known(self, ticker: str, now: datetime) -> ServingWindowRow | None:
        """The newest window, where it is remembered and ``find`` would give it without asking anybody anything."""
        window = self._newest.get(ticker) if self._listener.connected.is_set() else None
        if window is None or (window.live and window.known_at[0] <= now and not self._asked_lately(ticker)):
            return None
        return window

    async def find_stored(self, db: AsyncSession, tickers: Sequence[str]) -> dict[str, ServingWindowRow]:
        """The newest windows of those tickers that are stored, from memory or by one query."""
        connected = self._listener.connected.is_set()
        found = {ticker: known for ticker in tickers if connected and (known := self._newest.get(ticker)) is not None}
        news = self._news
        for window in await crud.find_newest_windows(db, [ticker for ticker in tickers if ticker not in found]):
            found[window.ticker] = window
            if connected and news == self._news:
                self._newest.put(window.ticker, window)
        return found

    async def _find_newest(self, db: AsyncSession, ticker: str) -> ServingWindowRow | None:
        if not self._listener.connected.is_set():
            return await crud.find_window(db, ticker)
        known = self._newest.get(ticker)
        if known is not None:
            return known
        return await self._reading.do(ticker, lambda: self._read_newest(db.bind, ticker))

    async def _read_newest(self, engine: Engine, ticker: str) -> ServingWindowRow | None:
        news = self._news
        async with _session_of_its_own(engine) as db:
            window = await crud.find_window(db, ticker)
        if window is not None and news == self._news:
            self._newest.put(ticker, window)
        return window

    async def _forget(self, ticker: str | None) -> None:
        self._news += 1
        if ticker is None:
            self._newest.clear()
        else:
            self._newest.drop(ticker)

    async def _ask_for(
        self, db: AsyncSession, ticker: str, as_of: date | None, user_id: UUID, *, wait: bool
    ) -> ServingWindowRow:
        """Have the worker collect a ticker, or build a window of the past; a user who asks often at once asks once."""
        await db.commit()  # no connection is held while waiting
        if not wait:
            return await self._ask_once(db, ticker, as_of, user_id, wait=False)

        async def ask() -> ServingWindowRow:
            async with _session_of_its_own(db.bind) as own:
                return await self._ask_once(own, ticker, as_of, user_id, wait=True)

        return await self._asking.do((user_id, ticker, as_of), ask)

    async def _ask_once(
        self, db: AsyncSession, ticker: str, as_of: date | None, user_id: UUID, *, wait: bool
    ) -> ServingWindowRow:
        await raise_failure(db, ticker, as_of=as_of)
        subject = ticker if as_of is None else f"{ticker}@{as_of}"
        await self._count_new_window(db, subject, user_id)
        if as_of is None:
            job = Job(COLLECT, subject, {"ticker": ticker, "asked_at": (await crud.database_clock(db)).isoformat()})
        else:
            job = Job(PUBLISH_WINDOW, subject, {"ticker": ticker, "as_of": as_of.isoformat()})
        return await self._ask_worker(db, job, ticker, as_of, wait=wait)

    async def _ask_worker(
        self, db: AsyncSession, job: Job, ticker: str, as_of: date | None, *, wait: bool
    ) -> ServingWindowRow:
        """Enqueue, commit, wait to be told, look again."""
        deadline = asyncio.get_running_loop().time() + self._settings.collect_wait_seconds
        with self._listener.expect(WINDOW_CHANNEL, ticker) as told:
            await defer(db, job.task, lock=job.lock, **job.arguments)
            await db.commit()
            while wait and await _is_told(told, deadline):
                if (window := await self._look_again(db, ticker, as_of)) is not None:
                    return window
        if wait and (window := await self._look_again(db, ticker, as_of)) is not None:
            return window
        raise CollectionPendingError(ticker)

    async def _look_again(self, db: AsyncSession, ticker: str, as_of: date | None) -> ServingWindowRow | None:
        window = await crud.find_window(db, ticker, as_of=as_of)
        if window is None:
            await raise_failure(db, ticker, as_of=as_of)
        await db.commit()  # the connection goes back to the pool while we wait
        return window

    async def _count_new_window(self, db: AsyncSession, subject: str, user_id: UUID) -> None:
        """``subject`` is a ticker, or one as of a past day."""
        now = datetime.now(UTC)
        limit = self._settings.new_tickers_per_day
        async with db.begin_nested():  # what is refused is not kept, even where others of a batch are committed
            if await crud.count_new_window(db, user_id, now.date(), subject) > limit:
                midnight = datetime.combine(now.date() + timedelta(days=1), time(), tzinfo=UTC)
                raise NewTickerQuotaError(limit, (midnight - now).total_seconds())

    async def _require_fresh(self, db: AsyncSession, window: ServingWindowRow) -> None:
        """Have a live window that lacks bars refreshed; refuse it where it lacks too many."""
        missing = missing_days(window.known_at, datetime.now(UTC))
        if not window.live or not missing:
            return
        if self._is_time_to_ask(window.ticker):
            asked_at = (await crud.database_clock(db)).isoformat()
            await defer(db, COLLECT, lock=window.ticker, ticker=window.ticker, asked_at=asked_at)
            await db.commit()
        if missing > self._settings.stale_after_days:
            raise StaleBarsError(window.ticker, window.cutoff, missing)

    def _is_time_to_ask(self, ticker: str) -> bool:
        if self._asked_lately(ticker):
            return False
        self._refresh_asked_at.put(ticker, asyncio.get_running_loop().time())
        return True

    def _asked_lately(self, ticker: str) -> bool:
        asked_at = self._refresh_asked_at.get(ticker)
        return asked_at is not None and asyncio.get_running_loop().time() - asked_at < REFRESH_PAUSE_SECONDS


def _session_of_its_own(engine: Engine) -> AsyncSession:
    """For work that belongs to no single request; its rows stay readable."""
    return AsyncSession(engine, expire_on_commit=False)


async def _is_told(told: asyncio.Event, deadline: float) -> bool:
    """Wait until ``told`` is set, and clear it; False when the deadline (of the loop's clock) came first."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout_at(deadline):
            await told.wait()
            told.clear()
            return True
    return False


def missing_days(known_at: Sequence[datetime], now: datetime) -> int:
    """Trading days after a cutoff whose bars are final by ``now``; ``known_at`` says when each one is."""
    return bisect_right(known_at, now)


def is_stale(*, live: bool, known_at: Sequence[datetime], now: datetime) -> bool:
    """Whether there is, or never will be, a newer bar than the one at the cutoff."""
    return not live or missing_days(known_at, now) > 0
