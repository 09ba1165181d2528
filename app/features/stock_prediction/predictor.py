"""From a window and a bundle to the values of a frozen forecast; no database, no HTTP."""

from datetime import datetime
from typing import Any

from app.features.market_data.service import bars_of
from app.features.registry.champion import Champion
from app.models.serving_window import ServingWindowRow
from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.serving_window import with_market
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED, naive_quantiles
from ml_lifecycle.export.manifest import MarketUniverse

LIVE, HINDCAST = "live", "hindcast"


def forecast_values(champion: Champion, window: ServingWindowRow, made_at: datetime) -> dict[str, Any]:
    """The columns of one ``Forecast``; ``window`` was read with its bars.

    Raises
    ------
    InsufficientHistoryError : fewer bars since the last hole than the bundle needs.
    NonFiniteForecastError : a price in the window is missing or not positive.
    """
    bars = _readable(window, champion.bundle.manifest.market_universe).after_last_hole()
    if len(bars) < champion.forecaster.history_needed:
        raise InsufficientHistoryError(needed=champion.forecaster.history_needed, found=len(bars), ticker=window.ticker)
    quantiles = champion.forecaster.forecast(bars)
    naive = _naive(bars, quantiles.levels)
    return {
        "kind": kind_of(window, made_at),
        "ticker": window.ticker,
        "exchange": window.exchange,
        "currency": window.currency,
        "source": window.source,
        "price_basis": window.price_basis,
        "cutoff": window.cutoff,
        "bundle_id": champion.bundle_id,
        "data_table_id": window.data_table_id,
        "data_version": window.data_version,
        "data_sha256": window.data_sha256,
        "repaired_bars": window.repaired_bars,
        "market_inputs": champion.forecaster.market_inputs(bars).value,
        "made_at": made_at,
        "opens_at": window.opens_at,
        "anchor": float(bars.close[-1]),
        "adaptive_alpha": None,
        "levels": list(quantiles.levels),
        "target_trading_days": window.target_trading_days,
        "known_at": window.known_at,
        "log_returns": quantiles.log_returns.tolist(),
        "naive_log_returns": None if naive is None else naive.tolist(),
        "probability_up": quantiles.probability_up.tolist(),
    }


def _readable(window: ServingWindowRow, known: MarketUniverse | None) -> BarArrays:
    """The window's bars; with its market only where the bundle names that universe for the exchange."""
    bars = bars_of(window)
    read = known is not None and known.reads(window.market_universe, window.exchange)
    return bars if read else with_market(bars, None)


def kind_of(window: ServingWindowRow, made_at: datetime) -> str:
    """``live`` when made on a live source's bars before the first target day opens: nobody can know the outcome."""
    return LIVE if window.live and made_at < window.opens_at else HINDCAST


def _naive(bars: BarArrays, levels: tuple[float, ...]) -> FloatArray | None:
    """The naive forecast's quantiles, or None where the bars are too few for its spread."""
    return naive_quantiles(bars, levels) if len(bars) >= HISTORY_NEEDED else None
