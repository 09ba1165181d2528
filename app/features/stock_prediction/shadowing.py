"""The worker forecasts with every shadow what the champion was asked for: after the answer, never in its way."""

import asyncio
import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from app.config import Settings
from app.core.jobs import WorkerTools
from app.features.market_data.service import read_window
from app.features.registry.champion import Champion
from app.features.registry.service import champion_and_shadows
from app.features.stock_prediction import crud
from app.features.stock_prediction.predictor import forecast_values
from app.features.track_record.learning import alphas_in_use
from app.models.challenge import ShadowDecision
from data_pipeline.errors import ClosecastError
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.forecaster import BundleForecaster

logger = logging.getLogger(__name__)

SHADOW = "shadow"  # where a champion's forecast would say why it is champion
AT_A_TIME = 200  # forecasts looked up in one query


async def forecast_with_shadows(tools: WorkerTools) -> int:
    """Freeze what each shadow says after the cutoffs that the champion was asked about, and give their number.

    A cutoff counts while its window is still the published one: on other bars the two could not be compared.
    """
    async with tools.sessions() as db:
        champion_id, shadows = await champion_and_shadows(db)
    if champion_id is None:
        return 0
    return sum([await _follow(tools, champion_id, line) for line in shadows])


async def _follow(tools: WorkerTools, champion_id: str, line: ShadowDecision) -> int:
    shadow: Champion | None = None
    frozen, after = 0, None
    while True:
        async with tools.sessions() as db:
            asked = await crud.without_shadow(
                db, champion_id, line.bundle_id, since=line.decided_at, after=after, limit=AT_A_TIME
            )
        if not asked:
            return frozen
        shadow = shadow or await _load(tools.settings, line)
        if shadow is None:
            return frozen
        frozen += await _freeze(tools, shadow, asked)
        after = (asked[-1].ticker, asked[-1].cutoff)


async def _load(settings: Settings, line: ShadowDecision) -> Champion | None:
    try:
        bundle = await asyncio.to_thread(load_bundle, settings.bundles / line.bundle_id, settings.inference_engine)
    except BundleRefusedError as error:
        logger.warning("shadow %s stays out: %s", line.bundle_id, error.reason)
        return None
    return Champion(bundle, BundleForecaster(bundle), SHADOW, line.decided_at)


async def _freeze(tools: WorkerTools, shadow: Champion, asked: Sequence[crud.AskedCutoff]) -> int:
    async with tools.sessions() as db:
        return sum([await _freeze_one(db, shadow, each.ticker, each.as_of) for each in asked])


async def _freeze_one(db: AsyncSession, shadow: Champion, ticker: str, as_of: date | None) -> bool:
    window = await read_window(db, ticker, as_of=as_of)
    alphas = await alphas_in_use(db, shadow.bundle, [ticker])
    await db.commit()  # no connection is held while the network computes
    try:
        values = await asyncio.to_thread(forecast_values, shadow, window, datetime.now(UTC), alphas)
    except ClosecastError as error:  # it may need more bars than the champion
        logger.debug("shadow %s has no forecast of %s: %s", shadow.bundle_id[:12], ticker, error)
        return False
    await crud.freeze_forecast(db, values)
    await db.commit()
    return True
