"""The naive forecast with honest intervals: tomorrow closes where today did, give or take what it has done so far."""

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray

STEPS = 30
RETURNS_USED = 1000  # about four years: long enough for the 2.5 % tails, short enough to follow the company
HISTORY_NEEDED = 252
HISTORY_USED = RETURNS_USED + STEPS + 1


def naive_quantiles(bars: BarArrays, levels: Sequence[float]) -> FloatArray:
    """Quantiles of the log return over 1..30 bars after the newest one, shape ``(30, n_levels)``.

    The median is 0, the naive forecast itself. The other levels are empirical quantiles of the overlapping returns of
    the same length over the last 1,000 days, or over as many as there are.

    Raises
    ------
    InsufficientHistoryError : fewer than ``HISTORY_NEEDED`` bars.
    """
    used = bars.last(HISTORY_USED)
    cutoff = np.array([len(used) - 1])
    quantiles: FloatArray = naive_quantiles_at(used.adj_close, cutoff, range(1, STEPS + 1), levels)[0]
    return quantiles


def naive_quantiles_at(
    adj_close: FloatArray, ends: IntArray, horizons: Sequence[int], levels: Sequence[float]
) -> FloatArray:
    """``naive_quantiles`` at many cutoffs of one ticker, shape ``(n, n_horizons, n_levels)``.

    Raises
    ------
    InsufficientHistoryError : the first cutoff has fewer than ``HISTORY_NEEDED`` bars up to it.
    """
    if len(ends) and ends.min() + 1 < HISTORY_NEEDED:
        raise InsufficientHistoryError(needed=HISTORY_NEEDED, found=int(ends.min()) + 1)
    quantiles = [_horizon_quantiles(adj_close, ends, horizon, levels) for horizon in horizons]
    return around_zero(np.stack(quantiles, axis=1), levels)


def _horizon_quantiles(adj_close: FloatArray, ends: IntArray, horizon: int, levels: Sequence[float]) -> FloatArray:
    """Empirical quantiles of the newest ``RETURNS_USED`` returns over ``horizon`` bars; shape ``(n, n_levels)``."""
    returns = np.log(adj_close[horizon:] / adj_close[:-horizon])
    newest = ends - horizon  # row of the return that ends at each cutoff
    quantiles = np.empty((len(ends), len(levels)))
    for row in np.flatnonzero(newest < RETURNS_USED - 1):
        quantiles[row] = np.quantile(returns[: newest[row] + 1], levels)
    full = np.flatnonzero(newest >= RETURNS_USED - 1)
    if len(full):
        spans = sliding_window_view(returns, RETURNS_USED)[newest[full] - RETURNS_USED + 1]
        quantiles[full] = np.quantile(spans, levels, axis=1).T
    return quantiles


def around_zero(quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """The median becomes 0; a level that drift has carried to its other side stops there."""
    level = np.asarray(levels)
    below = np.where(level < 0.5, np.minimum(quantiles, 0.0), quantiles)
    bounded = np.where(level > 0.5, np.maximum(below, 0.0), below)
    return np.where(level == 0.5, 0.0, bounded)
