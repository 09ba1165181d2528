"""What an API process holds to answer forecasts, opened and closed in order."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial

from fastapi import FastAPI
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.core.database import bounded_connection_string, create_engine
from app.core.notifications import CHAMPION_CHANNEL, SKILL_CHANNEL, NotificationListener
from app.features.market_data.windows import WindowDesk
from app.features.registry.champion import ChampionHolder
from app.features.registry.shelf import BundleShelf
from app.features.stock_prediction.batching import BatchDesk
from app.features.stock_prediction.freezing import Freezer
from app.features.stock_prediction.log_writer import PredictionLogWriter
from app.features.stock_prediction.own_window_desk import OwnWindowDesk
from app.features.stock_prediction.partitions import ensure_partitions
from app.features.stock_prediction.service import ForecastDesk

logger = logging.getLogger(__name__)


@asynccontextmanager
async def forecasting(app: FastAPI) -> AsyncIterator[None]:
    """Fill ``app.state``: ``champions``, ``bundle_shelf``, ``notifications``, ``prediction_log`` and the desks.

    The settings and sessions must be there.

    A database that is away does not stop the start: requests get 503 until it is back.
    """
    settings: Settings = app.state.settings
    sessions: async_sessionmaker[AsyncSession] = app.state.session_factory
    log_engine = create_engine(settings.model_copy(update={"database_pool_size": 1}))
    app.state.prediction_log = log = PredictionLogWriter(
        log_engine, queue_size=settings.log_queue_size, timeout_seconds=2 * settings.database_timeout_seconds
    )
    app.state.notifications = listener = NotificationListener(bounded_connection_string(settings))
    app.state.champions = champions = ChampionHolder(sessions, settings)
    listener.on(CHAMPION_CHANNEL, champions.reload)
    listener.on(SKILL_CHANNEL, champions.reload_figures)
    listener.on(CHAMPION_CHANNEL, partial(_make_partitions_again, sessions))
    windows, freezer = WindowDesk(listener, settings), Freezer(sessions)
    app.state.forecast_desk = desk = ForecastDesk(champions, windows, freezer, log)
    app.state.batch_desk = BatchDesk(champions, windows, freezer, desk)
    app.state.bundle_shelf = shelf = BundleShelf(settings)
    app.state.own_window_desk = OwnWindowDesk(champions, shelf, log)
    await _make_partitions(sessions)
    await champions.reload()
    listener.start()
    champions.start()
    log.start()
    try:
        yield
    finally:
        await champions.stop()
        await listener.stop()
        await log.stop()
        await log_engine.dispose()


async def _make_partitions(sessions: async_sessionmaker[AsyncSession]) -> None:
    try:
        async with sessions() as db:
            await ensure_partitions(db, datetime.now(UTC))
    except (SQLAlchemyError, OSError) as error:
        # Tried again when the database is back; the daily task makes them too, three months before they are needed.
        logger.warning("the prediction log's partitions were not made: %s", type(error).__name__)


async def _make_partitions_again(sessions: async_sessionmaker[AsyncSession], bundle_id: str | None) -> None:
    if bundle_id is None:  # no promotion: the listener has just been connected
        await _make_partitions(sessions)
