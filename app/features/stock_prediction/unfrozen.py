"""The forecast that an answer would hold, made from stored bars and kept nowhere. Command line only.

This brings the pipeline, which an API process does not carry.
"""

from datetime import UTC, date, datetime
from pathlib import Path
from time import perf_counter
from typing import Any
from uuid import UUID

from app.config import Settings
from app.features.market_data.collecting import build_window, open_store
from app.features.market_data.service import row_of
from app.features.market_data.windows import is_stale
from app.features.registry.champion import Champion, ChampionHolder
from app.features.registry.shelf import ASKED_FOR
from app.features.stock_prediction import answers
from app.features.stock_prediction.predictor import forecast_values
from app.models.forecast import Forecast
from app.supervisor.one_session import own_sessions
from data_pipeline.publishing import build_serving_window
from ml_lifecycle.export.bundle import load_bundle
from ml_lifecycle.export.forecaster import BundleForecaster

NO_ROW = UUID(int=0)


def forecast_stored_bars(
    settings: Settings, champion: Champion, ticker: str, *, days_ahead: int, as_of: date | None
) -> dict[str, Any]:
    """Forecast after the newest stored bar of a ticker, or after its newest one on or before ``as_of``.

    Returns
    -------
    what `GET /predict/{ticker}` answers; ``forecast_id`` is None, for no row stands behind it and nothing scores it.

    Raises
    ------
    NothingStoredError, BeforeListingError : no bar is stored, or none is that old.
    InsufficientHistoryError, UnusableBarsError : the bars allow no forecast.
    """
    started, now = perf_counter(), datetime.now(UTC)
    if as_of is None:
        window = build_serving_window(open_store(settings), ticker, final_after=settings.final_after)
    else:
        window = build_window(settings, ticker, as_of)
    forecast = Forecast(id=NO_ROW, **forecast_values(champion, row_of(window), now))
    read = answers.answer_of(
        forecast,
        bundle=answers.bundle_of(champion, now, flagged=champion.is_past(settings.model_max_age_days, now)),
        skill=answers.skill_of(champion, days_ahead),
        days_ahead=days_ahead,
        as_of=as_of,
        stale=is_stale(live=window.live, known_at=forecast.known_at, now=now),
        latency_ms=round((perf_counter() - started) * 1000, 3),
    )
    return {**read.model_dump(mode="json"), "forecast_id": None}


async def served_champion(settings: Settings) -> Champion:
    """What an API process of this installation would answer with now.

    Raises
    ------
    NoChampionError : nothing that the ledger names can be loaded.
    """
    async with own_sessions(settings) as sessions:
        holder = ChampionHolder(sessions, settings)
        await holder.reload()
        return holder.serving(datetime.now(UTC))


def bundle_in(settings: Settings, folder: Path) -> Champion:
    """The bundle of a folder in the champion's place.

    Raises
    ------
    BundleRefusedError : it is not what it says it is.
    """
    bundle = load_bundle(folder, settings.inference_engine)
    return Champion(bundle, BundleForecaster(bundle), ASKED_FOR, bundle.manifest.created_at)
