"""From a window and a bundle to the values of a frozen forecast; no database, no HTTP."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

from app.features.market_data.service import bars_of
from app.features.registry.champion import Champion
from app.models.serving_window import ServingWindowRow
from data_pipeline.errors import ClosecastError, InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.serving_window import with_market
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED, naive_quantiles
from ml_lifecycle.export.conformal import AdaptiveState
from ml_lifecycle.export.forecaster import BundleForecaster, StepQuantiles
from ml_lifecycle.export.manifest import MarketUniverse

LIVE, HINDCAST = "live", "hindcast"

Alphas = Mapping[str, FloatArray]  # in use next, by ticker, as `track_record.learning.alphas_in_use` gives them


def forecast_values(
    champion: Champion, window: ServingWindowRow, made_at: datetime, alphas: Alphas | None = None
) -> dict[str, Any]:
    """The columns of one ``Forecast``; ``window`` was read with its bars.

    ``alphas`` move a live forecast's intervals. A hindcast's stay as they were calibrated: what the α have learnt came
    after its cutoff.

    Raises
    ------
    InsufficientHistoryError : fewer bars since the last hole than the bundle needs.
    UnusableBarsError : a price in the window is missing or not positive.
    """
    (values,) = many_forecast_values(champion, [window], made_at, alphas)
    if isinstance(values, ClosecastError):
        raise values
    return values


def many_forecast_values(
    champion: Champion, windows: Sequence[ServingWindowRow], made_at: datetime, alphas: Alphas | None = None
) -> list[dict[str, Any] | ClosecastError]:
    """``forecast_values`` of each window, or what it would raise, in one pass of the network."""
    found = [_bars_or_error(champion, window) for window in windows]
    states = [_state(window, made_at, alphas) for window in windows]
    usable = [(bars, state) for bars, state in zip(found, states, strict=True) if isinstance(bars, BarArrays)]
    forecasts = iter(_forecast_each(champion.forecaster, usable))
    answers = [next(forecasts) if isinstance(bars, BarArrays) else bars for bars in found]
    return [
        _values(champion, window, bars, answer, made_at, state)
        if isinstance(bars, BarArrays) and isinstance(answer, StepQuantiles)
        else cast(ClosecastError, answer)
        for window, bars, answer, state in zip(windows, found, answers, states, strict=True)
    ]


def _state(window: ServingWindowRow, made_at: datetime, alphas: Alphas | None) -> AdaptiveState | None:
    if alphas is None or kind_of(window, made_at) != LIVE:
        return None
    return AdaptiveState(alphas[window.ticker])


def _bars_or_error(champion: Champion, window: ServingWindowRow) -> BarArrays | ClosecastError:
    bars = readable_bars(window, champion.bundle.manifest.market_universe)
    if len(bars) < champion.forecaster.history_needed:
        return InsufficientHistoryError(
            needed=champion.forecaster.history_needed, found=len(bars), ticker=window.ticker
        )
    return bars


def _forecast_each(
    forecaster: BundleForecaster, series: Sequence[tuple[BarArrays, AdaptiveState | None]]
) -> Sequence[StepQuantiles | ClosecastError]:
    """All at once; where a series spoils that for the others, each by itself."""
    try:
        return forecaster.forecast_many([bars for bars, _ in series], adaptive=[state for _, state in series])
    except ClosecastError as error:
        if len(series) == 1:
            return [error]
        return [_forecast_each(forecaster, [each])[0] for each in series]


def _values(
    champion: Champion,
    window: ServingWindowRow,
    bars: BarArrays,
    quantiles: StepQuantiles,
    made_at: datetime,
    state: AdaptiveState | None,
) -> dict[str, Any]:
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
        "adaptive_alpha": None if state is None else state.alphas.tolist(),
        "levels": list(quantiles.levels),
        "target_trading_days": window.target_trading_days,
        "known_at": window.known_at,
        "log_returns": quantiles.log_returns.tolist(),
        "naive_log_returns": None if naive is None else naive.tolist(),
        "probability_up": quantiles.probability_up.tolist(),
        "drift": None if quantiles.drift is None else [asdict(left) for left in quantiles.drift],
    }


def readable_bars(window: ServingWindowRow, known: MarketUniverse | None) -> BarArrays:
    """The window's bars since the last hole; with its market only where the bundle names that universe."""
    bars = bars_of(window)
    read = known is not None and known.reads(window.market_universe, window.exchange)
    return (bars if read else with_market(bars, None)).after_last_hole()


def kind_of(window: ServingWindowRow, made_at: datetime) -> str:
    """``live`` when made on a live source's bars before the first target day opens: nobody can know the outcome."""
    return LIVE if window.live and made_at < window.opens_at else HINDCAST


def _naive(bars: BarArrays, levels: tuple[float, ...]) -> FloatArray | None:
    """The naive forecast's quantiles, or None where the bars are too few for its spread."""
    return naive_quantiles(bars, levels) if len(bars) >= HISTORY_NEEDED else None
