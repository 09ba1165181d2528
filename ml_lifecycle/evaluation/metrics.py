"""Measures of a forecast, each a pure function of arrays; prices and log returns alike unless said otherwise."""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray


def mean_absolute_error(actual: FloatArray, forecast: FloatArray) -> float:
    """Mean distance, in the unit of the values.

    >>> mean_absolute_error(np.array([1.0, 2.0]), np.array([2.0, 5.0]))
    2.0
    """
    return float(np.mean(np.abs(actual - forecast)))


def root_mean_square_error(actual: FloatArray, forecast: FloatArray) -> float:
    """Root of the mean squared distance, in the unit of the values.

    >>> root_mean_square_error(np.array([0.0, 0.0]), np.array([1.0, 7.0]))
    5.0
    """
    return float(np.sqrt(np.mean(np.square(actual - forecast))))


def mean_absolute_percentage_error(actual: FloatArray, forecast: FloatArray) -> float:
    """Mean distance over the actual value, as a fraction; for prices only.

    >>> mean_absolute_percentage_error(np.array([100.0, 50.0]), np.array([90.0, 55.0]))
    0.1
    """
    return float(np.mean(np.abs((actual - forecast) / actual)))


def r_squared(actual: FloatArray, forecast: FloatArray) -> float | None:
    """Share of the variance explained, 1 at best; meant for log returns (of prices it is near 1 for any forecast).

    None where the actual values do not vary.

    >>> r_squared(np.array([1.0, 3.0]), np.array([1.0, 2.0]))
    0.5
    """
    variation = float(np.sum(np.square(actual - np.mean(actual))))
    return None if variation == 0.0 else 1.0 - float(np.sum(np.square(actual - forecast))) / variation


def directional_accuracy(actual: FloatArray, forecast: FloatArray) -> float | None:
    """Share of log returns whose sign was foretold; unchanged closes and forecasts of 0 say nothing and do not count.

    >>> directional_accuracy(np.array([0.1, -0.2, 0.0]), np.array([0.3, 0.1, 0.1]))
    0.5
    """
    counted = (actual != 0.0) & (forecast != 0.0)
    return float(np.mean(np.sign(actual[counted]) == np.sign(forecast[counted]))) if counted.any() else None


def share_of_rises(actual: FloatArray) -> float | None:
    """Share of rises among the log returns that are not 0: the directional accuracy of always saying "up"."""
    return directional_accuracy(actual, np.ones_like(actual))


def information_coefficient(actual: FloatArray, forecast: FloatArray) -> float | None:
    """Rank correlation of forecast and actual log returns (Spearman); None where one of them does not vary.

    >>> information_coefficient(np.array([1.0, 2.0, 9.0]), np.array([0.1, 0.2, 0.3]))
    1.0
    """
    if len(actual) < 2 or np.ptp(actual) == 0.0 or np.ptp(forecast) == 0.0:
        return None
    return float(np.corrcoef(_ranks(actual), _ranks(forecast))[0, 1].round(12))


def pinball_losses(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Pinball loss of each forecast, averaged over its levels.

    Parameters
    ----------
    actual : shape ``(n,)``.
    quantiles : shape ``(n, n_levels)``.

    Returns
    -------
    shape ``(n,)``.

    >>> pinball_losses(np.array([1.0]), np.array([[0.0, 2.0]]), [0.1, 0.5]).round(6).tolist()
    [0.3]
    """
    miss = actual[:, None] - quantiles
    level = np.asarray(levels)
    losses: FloatArray = np.mean(np.maximum(level * miss, (level - 1.0) * miss), axis=1)
    return losses


def crps_from_quantiles(actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Continuous ranked probability score of each forecast, as far as its quantiles tell it.

    Twice the pinball loss integrated over the levels (Gneiting and Ranjan 2011): each level stands for the levels
    nearer to it than to its neighbours.

    Parameters
    ----------
    actual : shape ``(n,)``.
    quantiles : shape ``(n, n_levels)``.

    Returns
    -------
    shape ``(n,)``, unit of the values.

    >>> crps_from_quantiles(np.array([1.0]), np.array([[0.0, 2.0]]), [0.25, 0.75]).tolist()
    [0.5]
    """
    level = np.asarray(levels)
    bounds = np.concatenate([[0.0], (level[1:] + level[:-1]) / 2.0, [1.0]])
    miss = actual[:, None] - quantiles
    scores: FloatArray = 2.0 * np.maximum(level * miss, (level - 1.0) * miss) @ np.diff(bounds)
    return scores


def inside(actual: FloatArray, lower: FloatArray, upper: FloatArray) -> FloatArray:
    """1.0 where ``lower <= actual <= upper``, else 0.0; the mean is the coverage."""
    within: FloatArray = ((lower <= actual) & (actual <= upper)).astype(np.float64)
    return within


def coverage(actual: FloatArray, lower: FloatArray, upper: FloatArray) -> float:
    """Share of outcomes inside the interval, as a fraction."""
    return float(np.mean(inside(actual, lower, upper)))


def mean_width(lower: FloatArray, upper: FloatArray) -> float:
    """Mean distance of an interval's ends."""
    return float(np.mean(upper - lower))


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks from 0; equal values share the mean of theirs."""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    first = np.cumsum(count) - count
    shared: FloatArray = (first + (count - 1) / 2.0)[place]
    return shared
