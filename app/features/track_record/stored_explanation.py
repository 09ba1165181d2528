"""An explanation out of the store, which keeps the data version that a forecast names. Command line only."""

import asyncio
from uuid import UUID

from app.config import Settings
from app.features.market_data.service import row_of
from app.features.stock_prediction.errors import ForecastNotFoundError
from app.features.track_record.explaining import explain
from app.features.track_record.schemas import ExplanationRead
from app.models.forecast import Forecast
from app.models.serving_window import ServingWindowRow
from app.supervisor.one_session import one_session
from data_pipeline.errors import ClosecastError, NothingStoredError, UnknownDataVersionError
from data_pipeline.publishing import build_serving_window
from data_pipeline.serving_window import DataVersion
from data_pipeline.storage.feature_store import FeatureStore
from ml_lifecycle.export.bundle import Bundle, load_bundle
from ml_lifecycle.export.errors import BundleRefusedError


async def explain_from_store(settings: Settings, forecast_id: UUID) -> ExplanationRead:
    """The whole explanation of a forecast, whoever it was answered to.

    Raises
    ------
    ForecastNotFoundError : there is none of this id.
    """
    async with one_session(settings) as db:
        forecast = await db.get(Forecast, forecast_id)
        if forecast is None:
            raise ForecastNotFoundError(forecast_id)
        window = await asyncio.to_thread(_window, settings, forecast)
        return await explain(db, forecast, window, await asyncio.to_thread(_bundle, settings, forecast.bundle_id))


def _bundle(settings: Settings, bundle_id: str) -> Bundle | ClosecastError:
    try:
        return load_bundle(settings.bundles / bundle_id, settings.inference_engine)
    except BundleRefusedError as error:
        return error


def _window(settings: Settings, forecast: Forecast) -> ServingWindowRow | None:
    """The forecast's window in its own data version, or in the newest where that is gone; None where neither has it."""
    store = FeatureStore(settings.bars_uri, settings.store_options)
    own = DataVersion(forecast.data_table_id, forecast.data_version, forecast.data_sha256)
    for version in (own, None):
        try:
            if version is not None and store.at(version.version).table_id != version.table_id:
                continue
            window = build_serving_window(
                store,
                forecast.ticker,
                data_version=version,
                as_of=forecast.cutoff,
                final_after=settings.final_after,
            )
        except (NothingStoredError, UnknownDataVersionError):
            continue
        return row_of(window)
    return None
