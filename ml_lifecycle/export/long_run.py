"""The ticker's own long run in a forecast: what its returns have done over the last 1,000 days, beside the network.

A network reads some 375 bars and was trained on every share alike; how far this one usually goes in a month, and that a
storm ends, is in its own empirical quantiles. Averaging the two quantile by quantile draws each towards the other:
``share * empirical + (1 - share) * network`` at every head, more at distant ones.
"""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation.baselines import HISTORY_USED, naive_quantiles_at


def long_run_history(history_needed: int, shares: Sequence[float]) -> int:
    """Newest bars that can change a forecast: those of the long run too, where it has a share."""
    return max(history_needed, HISTORY_USED) if any(shares) else history_needed


def with_long_run(
    heads: FloatArray,
    adj_close: FloatArray,
    ends: IntArray,
    *,
    horizons: Sequence[int],
    levels: Sequence[float],
    shares: Sequence[float],
) -> FloatArray:
    """A network's quantiles at cutoffs of one ticker, averaged with its empirical ones; never crossing.

    Parameters
    ----------
    heads : log returns, shape ``(n, n_horizons, n_levels)``.
    adj_close : shape ``(n_bars,)``, without a hole.
    ends : rows of the cutoffs, shape ``(n,)``.
    shares : of the empirical quantiles, one per horizon; empty: the network alone.

    Raises
    ------
    InsufficientHistoryError : a cutoff has fewer than ``baselines.HISTORY_NEEDED`` bars up to it.
    """
    if not any(shares) or not len(ends):
        return heads
    share = np.asarray(shares)[:, None]
    empirical = naive_quantiles_at(adj_close, ends, horizons, levels)
    averaged: FloatArray = (1.0 - share) * np.sort(heads, axis=-1) + share * empirical
    return averaged
