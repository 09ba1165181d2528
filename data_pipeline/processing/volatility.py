"""Volatility at a cutoff: what a ticker's log returns are measured in."""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.causal_filters import trailing_sum

MINIMUM_SCALE = 1e-4  # per day; a share that has not traded for a year would otherwise divide by zero


def log_returns(adj_close: FloatArray) -> FloatArray:
    """``ln(adj_close[t] / adj_close[t-1])``, shape ``(n_bars,)``; the first is NaN.

    >>> log_returns(np.array([1.0, np.e])).tolist()
    [nan, 1.0]
    """
    returns = np.full(len(adj_close), np.nan)
    # The ratio first: a later adjustment factor cancels to the last bit or two, which it would not in ln p - ln q.
    returns[1:] = np.log(adj_close[1:] / adj_close[:-1])
    return returns


def ewma_volatility(returns: FloatArray, decay: float, length: int) -> FloatArray:
    """Root of the exponentially weighted mean square of the newest ``length`` log returns, per day.

    The weights ``decay**k`` are cut at ``length`` and renormalised, so the result is exact wherever the series starts.

    Parameters
    ----------
    returns : shape ``(n_bars,)``, as ``log_returns`` gives them.

    Returns
    -------
    shape ``(n_bars,)``; NaN for the first ``length`` bars.

    >>> ewma_volatility(np.array([np.nan, 0.03, 0.04]), decay=0.5, length=2).round(6).tolist()
    [nan, nan, 0.036968]
    """
    weights = decay ** np.arange(length, dtype=np.float64)
    return np.sqrt(trailing_sum(np.square(returns), weights / weights.sum()))


def volatility_scale(returns: FloatArray, decays: Sequence[float], length: int) -> FloatArray:
    """Geometric mean of the EWMA volatilities of several decays, per day; never below ``MINIMUM_SCALE``.

    A fast and a slow average together beat either alone: the fast one follows a storm, the slow one its end.
    """
    log_scale = np.zeros(len(returns))
    with np.errstate(divide="ignore"):  # ln 0 of a share that stood still is -inf, and the floor takes it
        for decay in decays:
            log_scale += np.log(ewma_volatility(returns, decay, length))
    scale = np.exp(log_scale / len(decays))
    return np.where(np.isnan(scale), np.nan, np.maximum(scale, MINIMUM_SCALE))
