"""The score table of a backtest: each method at each horizon, beside the last close and beside a named reference."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.backtest_losses import MethodLosses, Outcomes, intervals
from ml_lifecycle.evaluation.rows import PointFigures
from ml_lifecycle.evaluation.significance import mean_over_days


@dataclass(frozen=True)
class IntervalFigures:
    """One central interval over all tickers.

    Attributes
    ----------
    level : what it promises.
    coverage, width : share of outcomes inside; mean width, log return.
    ticker_deviation : standard deviation of the single tickers' coverage.
    ticker_range : the 5th and the 95th of a hundred tickers, by coverage.
    """

    level: float
    coverage: float
    width: float
    ticker_deviation: float
    ticker_range: tuple[float, float]


@dataclass(frozen=True)
class BacktestScores(PointFigures):
    """Figures of one method at one horizon.

    Attributes
    ----------
    n_tickers : tickers with a known outcome.
    relative_mae : mean absolute error of the median over that of the last close, in log returns: no currency counts
        for more than another.
    crps : from the quantiles, log return.
    skill : gain in mean pinball loss over the reference, a fraction of its loss; ``p_value`` two-sided
        (Diebold–Mariano). None for the reference itself.
    tickers_gaining : share of tickers with less pinball loss than the reference's.
    direction_interval : 98 %, of the directional accuracy over days; None for a few days.
    """

    method: str
    reference: str
    n_tickers: int
    relative_mae: float
    crps: float
    skill: float | None
    p_value: float | None
    tickers_gaining: float | None
    direction_interval: tuple[float, float] | None
    intervals: tuple[IntervalFigures, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def score_backtest(
    outcomes: Outcomes, levels: Sequence[float], horizons: Sequence[int], *, reference: str
) -> tuple[BacktestScores, ...]:
    """Every method at every horizon that has an outcome, by horizon, in the order of the methods."""
    scores = []
    for horizon in horizons:
        rows = outcomes.where(outcomes.horizon == horizon)
        if len(rows):
            scores += [_scores(rows, name, reference, levels) for name in rows.methods]
    return tuple(scores)


def _scores(rows: Outcomes, name: str, reference: str, levels: Sequence[float]) -> BacktestScores:
    """Figures of one method at outcomes of one horizon."""
    losses = rows.methods[name]
    return BacktestScores(
        **PointFigures.of(rows, losses.median, losses.pinball),
        method=name,
        reference=reference,
        n_tickers=len(np.unique(rows.ticker)),
        relative_mae=metrics.mean_absolute_error(rows.actual, losses.median)
        / metrics.mean_absolute_error(rows.actual, np.zeros(len(rows))),
        crps=float(losses.crps.mean()),
        **_against(rows, name, reference),
        direction_interval=_direction_interval(rows, losses),
        intervals=tuple(_interval(rows, losses, place, level) for place, level in enumerate(intervals(levels))),
    )


def _against(rows: Outcomes, name: str, reference: str) -> dict[str, Any]:
    if name == reference:
        return {"skill": None, "p_value": None, "tickers_gaining": None}
    own, beside = rows.methods[name].pinball, rows.methods[reference].pinball
    gains = by_ticker(rows, beside - own)
    return {
        "skill": 1.0 - float(own.mean() / beside.mean()),
        "p_value": mean_over_days(beside - own, rows.cutoff, horizon=int(rows.horizon[0])).p_zero,
        "tickers_gaining": float(np.mean(gains > 0.0)),
    }


def _direction_interval(rows: Outcomes, losses: MethodLosses) -> tuple[float, float] | None:
    counted = (rows.actual != 0.0) & (losses.median != 0.0)
    if not counted.any():
        return None
    hits = (np.sign(rows.actual[counted]) == np.sign(losses.median[counted])).astype(np.float64)
    half = mean_over_days(hits, rows.cutoff[counted], horizon=int(rows.horizon[0])).half_width
    return None if half is None else (max(0.0, float(hits.mean()) - half), min(1.0, float(hits.mean()) + half))


def _interval(rows: Outcomes, losses: MethodLosses, place: int, level: float) -> IntervalFigures:
    inside = losses.inside[:, place].astype(np.float64)
    of_tickers = by_ticker(rows, inside)
    low, high = np.quantile(of_tickers, [0.05, 0.95]).tolist()
    return IntervalFigures(
        level=level,
        coverage=float(inside.mean()),
        width=float(losses.width[:, place].mean()),
        ticker_deviation=float(of_tickers.std()),
        ticker_range=(low, high),
    )


def by_ticker(rows: Outcomes, values: FloatArray) -> FloatArray:
    """Mean of each ticker's values, tickers in alphabetical order."""
    _, place, count = np.unique(rows.ticker, return_inverse=True, return_counts=True)
    means: FloatArray = np.bincount(place, weights=values, minlength=len(count)) / count
    return means
