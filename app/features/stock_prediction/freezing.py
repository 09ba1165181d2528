"""Forecasts are computed once: the first asking freezes one, whoever asks meanwhile or later reads it."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.core.bounded_cache import BoundedCache
from app.core.monitoring.metrics import inference_seconds
from app.features.market_data.errors import TickerNotStoredError
from app.features.market_data.service import read_window
from app.features.registry.champion import Champion
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import forecast_values, many_forecast_values
from app.features.track_record.learning import alphas_in_use
from app.models.forecast import Forecast
from app.models.serving_window import ServingWindowRow
from data_pipeline.errors import ClosecastError

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

    async def frozen_many(
        self, champion: Champion, windows: Sequence[ServingWindowRow]
    ) -> list[Forecast | ClosecastError]:
        """``frozen`` of each window, or what it would raise, in one pass of the network for all that are new."""
        known = {
            (window.ticker, window.cutoff): forecast
            for window in windows
            if (forecast := self._remembered.get((champion.bundle_id, window.ticker, window.cutoff))) is not None
        }
        lacking = [window for window in windows if (window.ticker, window.cutoff) not in known]
        if not lacking:
            return [known[window.ticker, window.cutoff] for window in windows]
        made = await asyncio.shield(asyncio.create_task(self._find_or_freeze_many(champion, lacking)))
        return [
            known.get((window.ticker, window.cutoff)) or made.get(window.ticker, TickerNotStoredError(window.ticker))
            for window in windows
        ]

    async def _find_or_freeze_many(
        self, champion: Champion, windows: Sequence[ServingWindowRow]
    ) -> dict[str, Forecast | ClosecastError]:
        """By ticker; what is computed here is of a later cutoff than asked for where a new window came in between."""
        keys = [(window.ticker, window.cutoff) for window in windows]
        async with self._sessions() as db:
            found = await crud.find_forecasts(db, champion.bundle_id, keys)
            failed: dict[str, Forecast | ClosecastError] = {}
            if lacking := [window for window in windows if (window.ticker, window.cutoff) not in found]:
                whole = await crud.windows_with_bars(db, lacking)
                alphas = await alphas_in_use(db, champion.bundle, [window.ticker for window in whole])
                await db.commit()  # no connection is held while the network computes
                with inference_seconds.time():
                    values = await asyncio.to_thread(many_forecast_values, champion, whole, datetime.now(UTC), alphas)
                made = dict(zip([window.ticker for window in whole], values, strict=True))
                failed = {ticker: each for ticker, each in made.items() if isinstance(each, ClosecastError)}
                found |= await self._freeze_many(db, champion, [v for v in values if not isinstance(v, ClosecastError)])
        for frozen in found.values():
            self._remembered.put((frozen.bundle_id, frozen.ticker, frozen.cutoff), frozen)
        return failed | {forecast.ticker: forecast for forecast in found.values()}

    async def _freeze_many(
        self, db: AsyncSession, champion: Champion, many_values: Sequence[Mapping[str, Any]]
    ) -> dict[tuple[str, date], Forecast]:
        if not many_values:
            return {}
        await crud.freeze_forecasts(db, many_values)
        keys = [(values["ticker"], values["cutoff"]) for values in many_values]
        frozen = await crud.find_forecasts(db, champion.bundle_id, keys)
        await db.commit()
        return frozen

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
        alphas = await alphas_in_use(db, champion.bundle, [window.ticker])
        await db.commit()  # no connection is held while the network computes
        with inference_seconds.time():
            values = await asyncio.to_thread(forecast_values, champion, whole, datetime.now(UTC), alphas)
        frozen = await crud.freeze_forecast(db, values)
        await db.commit()
        return frozen
