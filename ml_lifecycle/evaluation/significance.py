"""Whether a forecaster is better than the naive, or only luckier."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import DayArray, FloatArray

MINIMUM_DAYS = 60  # cutoff days; with fewer nothing can be told
MINIMUM_INDEPENDENT_SPANS = 10  # ... and they must span so many horizons, since overlapping targets say the same thing


class Label(StrEnum):
    """What the figures allow to be said."""

    BETTER = "better"
    NOT_DISTINGUISHABLE = "not_distinguishable_from_naive"
    WORSE = "worse"
    NOT_YET_MEASURED = "not_yet_measured"


@dataclass(frozen=True)
class Skill:
    """Skill at one horizon.

    Attributes
    ----------
    source : ``live``, ``backtest`` or ``none``.
    n, n_days : forecasts, and cutoff days among them.
    relative_mae : mean absolute error of the median over the naive's; below 1 is better.
    pinball_skill : gain in mean pinball loss over the naive's quantiles, as a fraction of theirs.
    interval : of ``pinball_skill``, 98 %; None where nothing can be told.
    """

    label: Label
    source: str
    n: int
    n_days: int
    relative_mae: float | None
    pinball_skill: float | None
    interval: tuple[float, float] | None

    def to_dict(self) -> Mapping[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def skill_label(
    losses: FloatArray,
    naive_losses: FloatArray,
    days: DayArray,
    *,
    horizon: int,
    relative_mae: float | None = None,
    source: str = "backtest",
) -> Skill:
    """Compare pinball losses with the naive's on the same forecasts.

    Losses are averaged over tickers per day, since one day's tickers move together, and the mean difference is
    judged by a Diebold–Mariano test: Newey–West variance, critical value for a fixed share of lags.

    Parameters
    ----------
    losses, naive_losses : shape ``(n,)``.
    days : cutoff of each forecast, shape ``(n,)``.
    horizon : trading days ahead; neighbouring cutoffs share outcomes over so many days.
    """
    gains = daily_means(naive_losses - losses, days)
    n, n_days = len(losses), len(gains)
    naive_mean = float(np.mean(daily_means(naive_losses, days))) if n else 0.0
    overlap = overlapping_cutoffs(days, horizon)
    if n_days < max(MINIMUM_DAYS, MINIMUM_INDEPENDENT_SPANS * overlap) or naive_mean <= 0.0:
        return Skill(Label.NOT_YET_MEASURED, source, n, n_days, relative_mae, None, None)
    mean, half_width = mean_with_half_width(gains, n_lags=max(overlap - 1, 0))
    interval = ((mean - half_width) / naive_mean, (mean + half_width) / naive_mean)
    label = Label.NOT_DISTINGUISHABLE
    if half_width > 0.0 and interval[0] > 0.0:
        label = Label.BETTER
    elif half_width > 0.0 and interval[1] < 0.0:
        label = Label.WORSE
    return Skill(label, source, n, n_days, relative_mae, mean / naive_mean, interval)


def daily_means(values: FloatArray, days: DayArray) -> FloatArray:
    """Mean of each day's values, days ascending.

    >>> days = np.array(["2020-01-03", "2020-01-02", "2020-01-03"], dtype="datetime64[D]")
    >>> daily_means(np.array([1.0, 5.0, 3.0]), days).tolist()
    [5.0, 2.0]
    """
    _, place, count = np.unique(days, return_inverse=True, return_counts=True)
    means: FloatArray = np.bincount(place, weights=values, minlength=len(count)) / count
    return means


def mean_with_half_width(series: FloatArray, *, n_lags: int) -> tuple[float, float]:
    """Mean of an autocorrelated series and half the width of its 98 % interval.

    The Newey–West variance with a share ``b`` of lags is biased down, the more so the larger ``b``. The critical value
    of Kiefer and Vogelsang (2005, Bartlett kernel) makes up for it; with ``b`` near 0 it is the normal one, 2.33.
    """
    n, n_lags = len(series), _lags(len(series), n_lags)
    b = (n_lags + 1.0) / n
    critical = 2.3263 + 4.1618 * b + 0.5368 * b**2 - 0.9060 * b**3
    return float(series.mean()), critical * float(np.sqrt(_newey_west(series, n_lags) / n))


def standard_error(series: FloatArray, *, n_lags: int) -> float:
    """Of the mean of an autocorrelated series: Newey and West (1987), Bartlett kernel."""
    return float(np.sqrt(_newey_west(series, _lags(len(series), n_lags)) / len(series)))


def _lags(n: int, n_lags: int) -> int:
    """The lags that overlap asks for and half as many, at least those of the usual rule."""
    return max(n_lags + n_lags // 2, int(4.0 * (n / 100.0) ** (2.0 / 9.0)))


def _newey_west(series: FloatArray, n_lags: int) -> float:
    n = len(series)
    centred = series - series.mean()
    variance = float(centred @ centred) / n
    for lag in range(1, min(n_lags, n - 1) + 1):
        variance += 2.0 * (1.0 - lag / (n_lags + 1.0)) * float(centred[lag:] @ centred[:-lag]) / n
    return max(variance, 0.0)


def overlapping_cutoffs(days: DayArray, horizon: int) -> int:
    """How many consecutive cutoffs share outcomes: ``horizon`` where every trading day is one, else fewer.

    The usual distance in calendar days is counted as trading days (5 of 7).
    """
    distinct = np.unique(days)
    if len(distinct) < 2:
        return horizon
    apart = float(np.median(np.diff(distinct).astype("timedelta64[D]").astype(np.int64)))
    trading_days_apart = 1.0 if apart <= 1.0 else apart * 5.0 / 7.0
    return max(1, int(np.ceil(horizon / max(trading_days_apart, 1.0))))
