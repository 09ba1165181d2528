"""How well a mean over days is known whose outcomes overlap: the one test of every table, label and gate.

Diebold and Mariano's (1995): losses are averaged over tickers per day, since one day's tickers move together, and the
mean of the daily differences is held against what chance would make of it. NumPy alone: the worker's image has no
SciPy.
"""

import math
from dataclasses import dataclass

import numpy as np

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from ml_lifecycle.evaluation.student_t import student_t_critical, student_t_tail

FEWEST_DAYS = 3
CONFIDENCE = 0.98  # of the intervals that are shown and that a label is read off


@dataclass(frozen=True)
class KnownMean:
    """A mean over days, and how well it is known.

    Attributes
    ----------
    value : the mean, in the unit of the series.
    standard_error : corrected for overlap and for the sample's size; None where the series never varies or has no more
        days than overlap.
    degrees_of_freedom : of the Student's t that the mean over its standard error is held against.
    """

    value: float
    standard_error: float | None
    degrees_of_freedom: float

    @property
    def statistic(self) -> float | None:
        """The mean over its standard error."""
        return None if self.standard_error is None else self.value / self.standard_error

    @property
    def p_not_above_zero(self) -> float:
        """One-sided: how likely such a mean is if the true one is 0; 1 where nothing can be told."""
        return 1.0 if self.statistic is None else student_t_tail(self.statistic, self.degrees_of_freedom)

    @property
    def p_zero(self) -> float | None:
        """Two-sided; None where nothing can be told."""
        if self.statistic is None:
            return None
        return 2.0 * student_t_tail(abs(self.statistic), self.degrees_of_freedom)

    @property
    def half_width(self) -> float | None:
        """Half of the 98 % interval; None where nothing can be told."""
        if self.standard_error is None:
            return None
        return self.standard_error * student_t_critical(0.5 - CONFIDENCE / 2.0, self.degrees_of_freedom)


def known_mean(series: FloatArray, *, overlap: int) -> KnownMean:
    """Mean of one value per cutoff day, oldest first, whose outcomes overlap.

    Newey and West's variance (1987, Bartlett weights) bears with the overlap. In small samples it is biased down; two
    corrections make up for it: the factor of Harvey, Leybourne and Newbold (1997), and only as many degrees of freedom
    as the weights leave, 1.5 days per lag (Lazarus, Lewis, Stock and Watson 2018). Together they come within 2 % of the
    critical values that Kiefer and Vogelsang (2005) give for a share of lags; under a year, above them.

    Parameters
    ----------
    series : shape ``(n_days,)``.
    overlap : consecutive cutoffs that share outcomes (``overlapping_cutoffs``).
    """
    n = len(series)
    lags = bartlett_lags(n, overlap)
    value, degrees = float(np.mean(series)), 1.5 * n / (lags + 1)
    variance = long_run_variance(series, lags) if n > max(overlap, FEWEST_DAYS - 1) else 0.0
    if variance <= 0.0:
        return KnownMean(value, None, degrees)
    small_sample = (n + 1 - 2 * overlap + overlap * (overlap - 1) / n) / n
    return KnownMean(value, math.sqrt(variance / n / small_sample), degrees)


def mean_over_days(values: FloatArray, days: DayArray, *, horizon: int) -> KnownMean:
    """``known_mean`` of one value per forecast, averaged over tickers per day.

    Parameters
    ----------
    values : shape ``(n,)``; of loss differences, say.
    days : cutoff of each forecast, shape ``(n,)``.
    horizon : trading days ahead; neighbouring cutoffs share outcomes over so many days.
    """
    return known_mean(daily_means(values, days), overlap=overlapping_cutoffs(days, horizon))


def daily_means(values: FloatArray, days: DayArray) -> FloatArray:
    """Mean of each day's values, days ascending.

    >>> days = np.array(["2020-01-03", "2020-01-02", "2020-01-03"], dtype="datetime64[D]")
    >>> daily_means(np.array([1.0, 5.0, 3.0]), days).tolist()
    [5.0, 2.0]
    """
    _, place, count = np.unique(days, return_inverse=True, return_counts=True)
    means: FloatArray = np.bincount(place, weights=values, minlength=len(count)) / count
    return means


def relative_gains(losses: FloatArray, beside: FloatArray, days: DayArray) -> FloatArray:
    """Gain over other losses, mean over tickers per day, then over the horizons: ``(n, n_horizons)`` to ``(n_days,)``.

    Each horizon counts as a share of the other's mean there: losses grow with the horizon's root, and the longest would
    outvote the others. Shares of log-return losses do not know the price level, nor the currency.
    """
    gains = [
        daily_means(others - own, days) / np.mean(daily_means(others, days))
        for own, others in zip(losses.T, beside.T, strict=True)
    ]
    mean: FloatArray = np.mean(gains, axis=0)
    return mean


def overlapping_cutoffs(days: DayArray, horizon: int) -> int:
    """How many consecutive cutoffs share outcomes: ``horizon`` where every trading day is one, else fewer.

    The usual distance of two cutoffs counts, in weekdays: a hole in the bars brings its neighbours no nearer.

    >>> overlapping_cutoffs(np.arange("2024-01-01", "2024-03-01", 7, dtype="datetime64[D]"), horizon=21)
    5
    """
    distinct = np.unique(days).astype("datetime64[D]")
    if len(distinct) < 2:
        return horizon
    apart = float(np.median(np.busday_count(distinct[:-1], distinct[1:])))
    return max(1, math.ceil(horizon / max(apart, 1.0)))


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
