"""Whether the network that was just trained is to be served with adaptive intervals."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray, PreparedSeries, make_targets, prepare_series
from data_pipeline.processing.scaler import Scaler
from ml_lifecycle.evaluation.adaptive import Past, choose_adaptive
from ml_lifecycle.evaluation.network_forecaster import scaled_quantiles
from ml_lifecycle.export.conformal import AdaptiveChoice
from ml_lifecycle.export.long_run import with_long_run
from ml_lifecycle.training.config import TrainingConfig
from ml_lifecycle.training.parts import Parts, split_ends

TICKERS = 24  # enough to tell; all would add minutes to a training of hundreds


def measure_adaptive(
    config: TrainingConfig,
    bars_by_ticker: Mapping[str, BarArrays],
    tickers: Sequence[str],
    parts: Parts,
    network: Any,
    scaler: Scaler,
) -> AdaptiveChoice:
    """Let intervals adapt at every bar of the calibration part, as serving would, and choose by what that cost.

    Parameters
    ----------
    tickers : those that were trained on; up to 24 of them, evenly spread, are looked at.
    """
    every = -(-len(tickers) // TICKERS)
    past = calibration_past(config, [bars_by_ticker[ticker] for ticker in tickers[::every]], parts, network, scaler)
    return choose_adaptive(past, config.levels, config.horizons)


def calibration_past(
    config: TrainingConfig, many_bars: Sequence[BarArrays], parts: Parts, network: Any, scaler: Scaler
) -> list[Past]:
    """What a network foretold at every bar of the calibration part, before any offset, and what came; scaled units.

    A ticker with holes gives one entry for each piece between them; one without a cutoff in the part gives none.
    """
    asked: list[tuple[BarArrays, PreparedSeries, IntArray]] = []
    for piece in (piece for bars in many_bars for piece in bars.pieces()):
        if len(piece) >= config.input_spec.history_needed:
            series = prepare_series(piece, config.input_spec)
            parted = split_ends(series.usable_ends(), piece.trading_day, parts, longest=config.horizons[-1])
            if len(ends := parted["calibration"]):
                asked.append((piece, series, ends))
    if not asked:
        return []
    first_row = np.cumsum([0, *(len(series.scale) for _, series, _ in asked)])
    rows = np.concatenate([ends + first for (_, _, ends), first in zip(asked, first_row, strict=False)])
    answers = scaled_quantiles(network, PreparedSeries.joined([series for _, series, _ in asked]), rows, scaler)
    each = np.split(answers, np.cumsum([len(ends) for _, _, ends in asked])[:-1])
    return [_past(config, *entry, quantiles) for entry, quantiles in zip(asked, each, strict=True)]


def _past(config: TrainingConfig, bars: BarArrays, series: PreparedSeries, ends: IntArray, told: FloatArray) -> Past:
    in_scale = series.scale[ends, None] * np.sqrt(config.horizons)
    horizons, shares = config.horizons, config.long_run_shares
    heads, unit = np.sort(told, axis=-1), in_scale[..., None]
    averaged = with_long_run(heads * unit, bars.adj_close, ends, horizons=horizons, levels=config.levels, shares=shares)
    return Past(
        days=bars.trading_day[ends].astype("datetime64[D]"),
        bars=ends,
        quantiles=averaged / unit,
        actual=make_targets(bars.adj_close, ends, config.horizons) / in_scale,
    )
