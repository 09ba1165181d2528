"""Why a forecast said what it said: its inputs, their drift, its lineage, and what came after the windows most like it.

The inputs are computed anew from a serving window: over HTTP from one that is published still, at the command line from
the store, which keeps the data version that the forecast names. So an API process needs nothing that it has not.
"""

import asyncio
import math
from collections.abc import Iterable, Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer_group

from app.features.stock_prediction.predictor import readable_bars
from app.features.track_record.schemas import (
    ExplainedInputs,
    ExplanationRead,
    LineageRead,
    MadeFrom,
    NearestWindowRead,
    PromotionBehind,
)
from app.models.forecast import Forecast
from app.models.promotion import BundleRow, Promotion
from app.models.serving_window import ServingWindowRow
from data_pipeline.errors import ClosecastError
from ml_lifecycle.export.bundle import Bundle
from ml_lifecycle.monitoring.explanation import nearest_windows, seen_inputs

WINDOW_GONE = "no published window holds the bars any more: `closecast explain` reads them from the store"


async def published_window(db: AsyncSession, forecast: Forecast) -> ServingWindowRow | None:
    """A window that reaches the cutoff, with its bars; of the forecast's own data version where there is one."""
    window = ServingWindowRow
    same = (window.data_table_id == forecast.data_table_id) & (window.data_version == forecast.data_version)
    found = (
        select(window)
        .options(undefer_group("bars"))
        .where(window.ticker == forecast.ticker, window.cutoff >= forecast.cutoff)
        .order_by(same.desc(), window.cutoff)
        .limit(1)
    )
    return await db.scalar(found)


async def explain(
    db: AsyncSession, forecast: Forecast, window: ServingWindowRow | None, bundle: Bundle | ClosecastError
) -> ExplanationRead:
    """Everything that is still known; what is not is said to be gone, with the reason."""
    lineage = await _lineage(db, forecast)
    await db.commit()  # no connection is held while windows are compared
    inputs, nearest, missing = await asyncio.to_thread(_recomputed, forecast, window, bundle)
    return ExplanationRead(
        forecast_id=forecast.id,
        ticker=forecast.ticker,
        kind=forecast.kind,
        cutoff=forecast.cutoff,
        made_at=forecast.made_at,
        lineage=lineage,
        drift_warning=None if forecast.drift is None else bool(forecast.drift),
        drift=forecast.drift,
        inputs=inputs,
        nearest=nearest,
        missing_because=missing,
    )


def _recomputed(
    forecast: Forecast, window: ServingWindowRow | None, bundle: Bundle | ClosecastError
) -> tuple[ExplainedInputs | None, list[NearestWindowRead], str | None]:
    if isinstance(bundle, ClosecastError):
        return None, [], str(bundle)
    if window is None:
        return None, [], WINDOW_GONE
    bars = readable_bars(window, bundle.manifest.market_universe).until(forecast.cutoff)
    if not len(bars) or bars.cutoff != forecast.cutoff:
        return None, [], WINDOW_GONE
    try:
        seen, nearest = seen_inputs(bars, bundle), nearest_windows(bars, bundle)
    except ClosecastError as error:
        return None, [], str(error)
    made_from = MadeFrom(
        table_id=window.data_table_id,
        version=window.data_version,
        same_as_forecast=(window.data_table_id, window.data_version) == (forecast.data_table_id, forecast.data_version),
    )
    inputs = ExplainedInputs(
        made_from=made_from,
        days=seen.days.astype("datetime64[D]").tolist(),
        columns={name: _values(values.tolist()) for name, values in seen.columns.items()},
        scaled={name: _values(values.tolist()) for name, values in seen.scaled.items()},
        context=_named(seen.context),
        scaled_context=_named(seen.scaled_context),
        scale=seen.scale,
    )
    past = [
        NearestWindowRead(
            cutoff=one.cutoff,
            distance=one.distance,
            log_returns={str(horizon): came for horizon, came in one.log_returns.items()},
        )
        for one in nearest
    ]
    return inputs, past, None


def _values(values: Iterable[float]) -> list[float | None]:
    """What JSON can say: unknown ones are null."""
    return [value if math.isfinite(value) else None for value in values]


def _named(values: Mapping[str, float]) -> dict[str, float | None]:
    return dict(zip(values, _values(values.values()), strict=True))


async def _lineage(db: AsyncSession, forecast: Forecast) -> LineageRead:
    bundle = await db.get_one(BundleRow, forecast.bundle_id)
    decided = await db.scalar(
        select(Promotion)
        .where(Promotion.bundle_id == forecast.bundle_id, Promotion.decided_at <= forecast.made_at)
        .order_by(Promotion.id.desc())
        .limit(1)
    )
    return LineageRead(
        bundle_id=bundle.id,
        bundle_kind=bundle.kind,
        bundle_made_at=bundle.created_at,
        train_end=bundle.train_end,
        calibration_end=bundle.calibration_end,
        promotion=None
        if decided is None
        else PromotionBehind(kind=decided.kind, decided_at=decided.decided_at, reason=decided.reason),
        source=forecast.source,
        data_table_id=forecast.data_table_id,
        data_version=forecast.data_version,
        data_sha256=forecast.data_sha256,
        repaired_bars=forecast.repaired_bars,
        market_inputs=forecast.market_inputs,
        adaptive_alpha=forecast.adaptive_alpha,
    )
