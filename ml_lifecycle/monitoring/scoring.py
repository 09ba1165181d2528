"""What came of frozen forecasts: outcomes and losses, each a pure function of arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import make_targets
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.intervals import INTERVALS, interval_places
from ml_lifecycle.export.interpolation import median_index


@dataclass(frozen=True)
class Outcomes:
    """The bars that came after some cutoffs of one ticker, in one data version.

    Attributes
    ----------
    trading_day : of the h-th bar after each cutoff, shape ``(n, n_steps)``; NaT where it has not come.
    log_return : from the cutoff's adjusted close to that bar's, shape ``(n, n_steps)``; NaN where it has not come.
    """

    trading_day: DayArray
    log_return: FloatArray


def outcomes_after(trading_day: DayArray, adj_close: FloatArray, cutoffs: DayArray, n_steps: int) -> Outcomes:
    """Returns over 1 to ``n_steps`` bars after each cutoff, both adjusted closes out of the same arrays.

    Parameters
    ----------
    trading_day, adj_close : one ticker's bars in one data version, oldest first, shape ``(n_bars,)``.
    cutoffs : shape ``(n,)``; one on which there is no bar has no outcome.

    Examples
    --------
    >>> days = np.array(["2020-01-02", "2020-01-03", "2020-01-07"], dtype="datetime64[D]")
    >>> outcomes_after(days, np.array([1.0, np.e, np.e**3]), days[:2], n_steps=2).log_return.tolist()
    [[1.0, 3.0], [2.0, nan]]
    """
    at = np.searchsorted(trading_day, cutoffs)
    found = at < len(trading_day)
    found[found] = trading_day[at[found]] == cutoffs[found]
    returns = np.full((len(cutoffs), n_steps), np.nan)
    with np.errstate(divide="ignore", invalid="ignore"):  # a close of 0 has no outcome
        returns[found] = make_targets(adj_close, at[found], range(1, n_steps + 1))
    returns[~np.isfinite(returns)] = np.nan
    rows = np.minimum(at[:, None] + np.arange(1, n_steps + 1), len(trading_day) - 1)
    days = trading_day[rows].astype("datetime64[D]")
    return Outcomes(np.where(np.isnan(returns), np.datetime64("NaT", "D"), days), returns)


@dataclass(frozen=True)
class StepScores:
    """Losses of ``n`` forecast steps, as log returns; NaN where nothing can be told.

    Attributes
    ----------
    absolute_error, naive_absolute_error : of the median and of "no change", shape ``(n,)``.
    pinball, naive_pinball : mean over the levels, shape ``(n,)``.
    direction_hit : 1 where the median's sign was the return's, else 0; NaN where either is 0.
    inside, naive_inside : 1 or 0 for each of ``INTERVALS``, shape ``(n, 4)``.
    """

    absolute_error: FloatArray
    naive_absolute_error: FloatArray
    pinball: FloatArray
    naive_pinball: FloatArray
    direction_hit: FloatArray
    inside: FloatArray
    naive_inside: FloatArray


def score_steps(
    log_return: FloatArray, quantiles: FloatArray, naive_quantiles: FloatArray, levels: Sequence[float]
) -> StepScores:
    """Score steps of forecasts that have the same levels.

    Parameters
    ----------
    log_return : what came, shape ``(n,)``.
    quantiles, naive_quantiles : log returns, shape ``(n, n_levels)``; the naive's are NaN where they are not known.

    Examples
    --------
    >>> quantiles, naive = np.array([[-1.0, 0.2, 1.0]]), np.array([[-2.0, 0.0, 2.0]])
    >>> scored = score_steps(np.array([0.5]), quantiles, naive, (0.1, 0.5, 0.9))
    >>> scored.absolute_error.round(6).tolist(), scored.inside.tolist()
    ([0.3], [[nan, 1.0, nan, nan]])
    """
    median = quantiles[:, median_index(tuple(levels))]
    hit = np.where((median == 0.0) | (log_return == 0.0), np.nan, np.sign(median) == np.sign(log_return))
    return StepScores(
        absolute_error=np.abs(log_return - median),
        naive_absolute_error=np.abs(log_return),
        pinball=metrics.pinball_losses(log_return, quantiles, levels),
        naive_pinball=metrics.pinball_losses(log_return, naive_quantiles, levels),
        direction_hit=hit,
        inside=_inside(log_return, quantiles, levels),
        naive_inside=_inside(log_return, naive_quantiles, levels),
    )


def _inside(log_return: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> FloatArray:
    flags = np.full((len(log_return), len(INTERVALS)), np.nan)
    for column, level in enumerate(INTERVALS):
        if places := interval_places(levels, level):
            lower, upper = (quantiles[:, place] for place in places)
            known = np.isfinite(lower) & np.isfinite(upper)
            flags[:, column] = np.where(known, metrics.inside(log_return, lower, upper), np.nan)
    return flags
