"""Diebold–Mariano's test for overlapping forecasts in small samples: how likely a gain is luck.

NumPy alone: the worker's image has no SciPy. Tests hold the tail of Student's t against SciPy's.
"""

import math
from dataclasses import dataclass

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray

CONTINUED_FRACTION_TERMS = 200  # some √(degrees of freedom) of them suffice, and those are a few thousand at most


@dataclass(frozen=True)
class DieboldMariano:
    """The test of "the mean gain is not above 0" against "it is".

    Attributes
    ----------
    mean : mean gain, in the unit of the gains.
    statistic : mean over its standard error, corrected for the sample's size; None where the gains never vary.
    degrees_of_freedom : of Student's t that it is held against.
    p_value : one-sided; 1 where the gains never vary.
    """

    mean: float
    statistic: float | None
    degrees_of_freedom: float
    p_value: float


def diebold_mariano(gains: FloatArray, *, overlap: int) -> DieboldMariano:
    """Test a series of loss differences, one per day, oldest first, for a mean above 0.

    Newey and West's variance (Bartlett weights) bears with the overlap of outcomes. In small samples it is biased
    down; two corrections make up for it: the factor of Harvey, Leybourne and Newbold (1997), and only as many degrees
    of freedom as the weights leave, 1.5 days per lag (Lazarus, Lewis, Stock and Watson 2018). Together they come within
    2 % of the critical values that Kiefer and Vogelsang (2005) give for a share of lags; under a year, above them.

    Parameters
    ----------
    gains : shape ``(n_days,)``; more than ``overlap`` of them.
    overlap : trading days over which neighbouring outcomes overlap: the longest horizon.
    """
    n = len(gains)
    lags = bartlett_lags(n, overlap)
    mean, degrees = float(np.mean(gains)), 1.5 * n / (lags + 1)
    variance = long_run_variance(gains, lags)
    if variance <= 0.0:
        return DieboldMariano(mean, None, degrees, 1.0)
    small_sample = (n + 1 - 2 * overlap + overlap * (overlap - 1) / n) / n
    statistic = mean / math.sqrt(variance / n) * math.sqrt(max(small_sample, 0.0))
    return DieboldMariano(mean, statistic, degrees, student_t_tail(statistic, degrees))


def bartlett_lags(n: int, overlap: int) -> int:
    """Twice as many lags as outcomes overlap: Bartlett's weights leave half of what lies in the middle."""
    return max(2 * (overlap - 1), int(4.0 * (n / 100.0) ** (2.0 / 9.0)))


def long_run_variance(series: FloatArray, lags: int) -> float:
    """Newey and West's estimate, Bartlett weights; 0 for a series that never varies."""
    if np.ptp(series) <= 1e-12 * np.max(np.abs(series), initial=0.0):  # equal but for the last bits
        return 0.0
    n, centred = len(series), series - series.mean()
    weights = 1.0 - np.arange(1, min(lags, n - 1) + 1) / (lags + 1.0)
    products = np.array([centred[lag:] @ centred[:-lag] for lag in range(1, len(weights) + 1)])
    return float(centred @ centred + 2.0 * weights @ products) / n


def student_t_tail(statistic: float, degrees_of_freedom: float) -> float:
    """P(T > statistic) for Student's t.

    >>> round(student_t_tail(1.812461, 10), 6)
    0.05
    """
    if statistic < 0.0:
        return 1.0 - student_t_tail(-statistic, degrees_of_freedom)
    x = degrees_of_freedom / (degrees_of_freedom + statistic**2)
    return 0.5 * _incomplete_beta(degrees_of_freedom / 2.0, 0.5, x)


def _incomplete_beta(a: float, b: float, x: float) -> float:
    """Regularised incomplete beta function by its continued fraction (DLMF 8.17.22), on the side that converges."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - _incomplete_beta(b, a, 1.0 - x)
    fraction = 1.0
    for term in range(CONTINUED_FRACTION_TERMS, 0, -1):
        fraction = 1.0 + _coefficient(term, a, b, x) / fraction
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(log_front) / (a * fraction)


def _coefficient(term: int, a: float, b: float, x: float) -> float:
    m = term // 2
    if term % 2:
        return -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
    return m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
