"""Coverage where it counts: by third of the share's volatility at the cutoff, by exchange, by year."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.sources.exchanges import UnknownExchangeError, exchange_of
from ml_lifecycle.evaluation.backtest_losses import Outcomes, intervals

THIRDS = ("calm", "usual", "stormy")
FEWEST = 30  # outcomes; with fewer a coverage says nothing


@dataclass(frozen=True)
class ConditionalCoverage:
    """Coverage of one method's intervals at one horizon, over one group of forecasts.

    ``by`` is what divides them (``volatility``, ``exchange`` or ``year``), ``group`` the part, ``coverage`` by level.
    """

    method: str
    horizon: int
    by: str
    group: str
    n: int
    coverage: dict[float, float]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return asdict(self)


def conditional_coverage(
    outcomes: Outcomes, levels: Sequence[float], horizons: Sequence[int]
) -> tuple[ConditionalCoverage, ...]:
    """Coverage by third of the volatility known at the cutoff, by exchange and by year of the cutoff.

    Thirds are those of all forecasts of a horizon, tickers and days together: the calm one is largely shares of
    low volatility, no calm market. Groups of fewer than 30 forecasts are left out.
    """
    return tuple(row for horizon in horizons for row in _of_horizon(outcomes, levels, horizon))


def _of_horizon(outcomes: Outcomes, levels: Sequence[float], horizon: int) -> Iterator[ConditionalCoverage]:
    rows = outcomes.where(outcomes.horizon == horizon)
    if not len(rows):
        return
    divided = {
        "volatility": volatility_third(rows.volatility),
        "exchange": _exchanges(rows.ticker),
        "year": rows.cutoff.astype("datetime64[Y]").astype(str),
    }
    for name, losses in rows.methods.items():
        for by, groups in divided.items():
            for group in THIRDS if by == "volatility" else np.unique(groups).tolist():
                inside = losses.inside[groups == group]
                if len(inside) >= FEWEST:
                    coverage = dict(zip(intervals(levels), inside.mean(axis=0).tolist(), strict=True))
                    yield ConditionalCoverage(name, horizon, by, group, len(inside), coverage)


def volatility_third(volatility: FloatArray) -> NDArray[np.str_]:
    """``calm``, ``usual`` or ``stormy`` by which third of them each lies in; empty where it is NaN.

    >>> volatility_third(np.array([0.03, 0.01, 0.02])).tolist()
    ['stormy', 'calm', 'usual']
    """
    known = np.isfinite(volatility)
    if not known.any():
        return np.full(len(volatility), "")
    bounds = np.quantile(volatility[known], [1.0 / 3.0, 2.0 / 3.0])
    third = np.array(THIRDS)[np.searchsorted(bounds, volatility)]
    return np.where(known, third, "")


def _exchanges(tickers: NDArray[np.str_]) -> NDArray[np.str_]:
    names, place = np.unique(tickers, return_inverse=True)
    return np.array([_exchange(name) for name in names.tolist()])[place]


def _exchange(ticker: str) -> str:
    try:
        return exchange_of(ticker)
    except UnknownExchangeError:
        return "unknown"
