"""Frozen forecasts without HTTP."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.config import Settings
from app.features.market_data.service import publish_windows, read_window
from app.features.registry.champion import ChampionHolder
from app.features.registry.service import ensure_reference_champion
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import forecast_values
from app.models.forecast import Forecast
from data_pipeline.serving_window import ServingWindow


async def freeze(sessions: async_sessionmaker[AsyncSession], settings: Settings, window: ServingWindow) -> Forecast:
    """Publish ``window`` and commit the reference's forecast from it, as a process of its own would."""
    holder = ChampionHolder(sessions, settings)
    async with sessions() as db:
        await ensure_reference_champion(db, settings)
        await holder.reload()
        await publish_windows(db, [window])
        now = datetime.now(UTC)
        values = forecast_values(holder.serving(now), await read_window(db, window.ticker), now)
        forecast = await crud.freeze_forecast(db, values)
        await db.commit()
        return forecast
