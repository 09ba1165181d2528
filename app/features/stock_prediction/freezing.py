"""Forecasts are computed once: the first asking freezes one, whoever asks meanwhile or later reads it."""

import asyncio
from datetime import UTC, date, datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.bounded_cache import BoundedCache
from app.core.monitoring.metrics import inference_seconds
from app.features.market_data.service import read_window
from app.features.registry.champion import Champion
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import forecast_values
from app.models.forecast import Forecast
from app.models.serving_window import ServingWindowRow

REMEMBERED_FORECASTS = 1_000  # about 20 kB each; a frozen row never changes, so none of them can be outdated

Key = tuple[str, str, date]  # bundle, ticker, cutoff: what a frozen forecast is unique by


class Freezer:
    """Computes, freezes and remembers forecasts; one per process.

    The first asking works on a session of its own, so that whoever asked may go away without taking others along.
    """

    def __init__(self, sessions: async_sessionmaker[AsyncSession]) -> None:
        self._sessions = sessions
        self._remembered: BoundedCache[Key, Forecast] = BoundedCache(REMEMBERED_FORECASTS)
        self._under_way: dict[Key, asyncio.Task[Forecast]] = {}

    async def frozen(self, champion: Champion, window: ServingWindowRow) -> Forecast:
        """The frozen forecast, from memory, from the database, or computed now and committed.

        Raises
        ------
        InsufficientHistoryError, UnusableBarsError
        """
        key = (champion.bundle_id, window.ticker, window.cutoff)
        if (known := self._remembered.get(key)) is not None:
            return known
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(self._find_or_freeze(champion, window))
            task.add_done_callback(lambda done: self._finish(key, done))
        return await asyncio.shield(task)

    def _finish(self, key: Key, task: asyncio.Task[Forecast]) -> None:
        self._under_way.pop(key, None)
        if not task.cancelled() and task.exception() is None:
            frozen = task.result()  # of a later cutoff than asked for, where a new window came in between
            self._remembered.put((frozen.bundle_id, frozen.ticker, frozen.cutoff), frozen)

    async def _find_or_freeze(self, champion: Champion, window: ServingWindowRow) -> Forecast:
        async with self._sessions() as db:
            frozen = await crud.find_forecast(db, champion.bundle_id, window.ticker, window.cutoff)
            if frozen is None:
                frozen = await self._freeze(db, champion, window)
            return frozen

    async def _freeze(self, db: AsyncSession, champion: Champion, window: ServingWindowRow) -> Forecast:
        whole = await read_window(db, window.ticker, as_of=window.as_of)
        await db.commit()  # no connection is held while the network computes
        with inference_seconds.time():
            values = await asyncio.to_thread(forecast_values, champion, whole, datetime.now(UTC))
        frozen = await crud.freeze_forecast(db, values)
        await db.commit()
        return frozen
