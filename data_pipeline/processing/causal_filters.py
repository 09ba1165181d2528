"""Fixed-length filters over the past, written so that a result depends on the values in its window and on nothing else.

Every filter adds one lag after the other, elementwise. A running sum would be faster, but its last digits depend on
where the series starts; here a window gives the same bits whether 300 bars or 30 years stand around it.
"""

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray


def lagged(values: FloatArray, lag: int) -> FloatArray:
    """``values`` moved ``lag`` places later; the first ``lag`` results are NaN.

    >>> lagged(np.array([1.0, 2.0, 3.0]), 1).tolist()
    [nan, 1.0, 2.0]
    """
    if lag == 0:
        return values
    moved = np.full(len(values), np.nan)
    moved[lag:] = values[:-lag]
    return moved


def trailing_sum(values: FloatArray, weights: FloatArray) -> FloatArray:
    """``sum(weights[k] * values[t - k])`` at each ``t``; NaN where the window reaches before the first value.

    >>> trailing_sum(np.array([1.0, 2.0, 4.0]), np.array([1.0, 0.5])).tolist()
    [nan, 2.5, 5.0]
    """
    n_lags, n_sums = len(weights), len(values) - len(weights) + 1
    total = np.full(len(values), np.nan)
    if n_sums <= 0:
        return total
    sums = np.zeros(n_sums)
    for lag, weight in enumerate(weights):
        sums += weight * values[n_lags - 1 - lag : len(values) - lag]
    total[n_lags - 1 :] = sums
    return total


def trailing_mean(values: FloatArray, length: int) -> FloatArray:
    """Mean of the newest ``length`` values at each place; NaN before there are so many."""
    return trailing_sum(values, np.full(length, 1.0 / length))


def trailing_max(values: FloatArray, length: int) -> FloatArray:
    """Largest of the newest ``length`` values at each place; NaN before there are so many.

    >>> trailing_max(np.array([3.0, 1.0, 2.0]), 2).tolist()
    [nan, 3.0, 2.0]
    """
    highest = np.full(len(values), np.nan)
    n_results = len(values) - length + 1
    if n_results <= 0:
        return highest
    window_max = values[length - 1 :].copy()
    for lag in range(1, length):
        np.maximum(window_max, values[length - 1 - lag : len(values) - lag], out=window_max)
    highest[length - 1 :] = window_max
    return highest
