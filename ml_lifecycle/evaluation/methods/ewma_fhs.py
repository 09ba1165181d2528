"""Exponentially weighted volatility with filtered historical simulation."""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from data_pipeline.processing.volatility import MINIMUM_SCALE, ewma_volatility, log_returns
from ml_lifecycle.evaluation.baselines import around_zero
from ml_lifecycle.evaluation.methods.per_ticker import PerTickerMethod
from ml_lifecycle.export.manifest import LEVELS, STEPS

DECAY = 0.94  # RiskMetrics' for daily returns (Technical Document, 1996)
LENGTH = 250  # the weights left out sum up to 2e-7
RESIDUALS_USED = 1000
RESIDUALS_NEEDED = 250
PAIRS = 2000  # of paths that mirror each other: twice as many paths
AT_ONCE = 32  # cutoffs whose paths are held in memory together: 1 MiB a step


class EwmaFhsMethod(PerTickerMethod):
    """Past returns over the volatility foretold for them, drawn anew at today's volatility, day after day.

    Each path's volatility follows its own returns. Residuals are centred and the median is the last close: the method
    knows of risk, not of direction. Of 4,000 paths each day's shocks are all of the last 1,000 residuals four times
    over, and where one path takes the k-th smallest its twin takes the k-th largest: the first day has no noise of the
    simulation's own, and on 40 shares one seed or another changed the mean loss by 0.1 % at most.
    Source: Barone-Adesi, Giannopoulos and Vosper (1999), *VaR without correlations for portfolios of derivative
    securities*, with the EWMA filter of RiskMetrics.
    """

    history_needed = 1 + LENGTH + RESIDUALS_NEEDED
    history_used = 1 + LENGTH + RESIDUALS_USED

    def __init__(self, levels: tuple[float, ...] = LEVELS, *, seed: int = 0) -> None:
        super().__init__(levels)
        self.seed = seed

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        returns = log_returns(bars.adj_close)
        volatility = np.maximum(ewma_volatility(returns, DECAY, LENGTH), MINIMUM_SCALE)
        residuals = np.full(len(returns), np.nan)
        residuals[1:] = returns[1:] / volatility[:-1]
        ranks = _ranks(self.seed)  # the same at every cutoff
        blocks = np.split(ends, range(AT_ONCE, len(ends), AT_ONCE))
        return np.concatenate([self._simulated(residuals, volatility, rows, ranks, horizons) for rows in blocks])

    def _simulated(
        self,
        residuals: FloatArray,
        volatility: FloatArray,
        ends: IntArray,
        ranks: FloatArray,
        horizons: Sequence[int],
    ) -> FloatArray:
        drawn = np.stack([_drawn(residuals[LENGTH + 1 : end + 1], ranks) for end in ends])
        variance = np.square(volatility[ends])[:, None]
        total = np.zeros(drawn.shape[:2])
        quantiles = np.empty((len(ends), len(horizons), len(self.levels)))
        for step in range(max(horizons)):
            moved = np.sqrt(variance) * drawn[..., step]
            total += moved
            variance = DECAY * variance + (1.0 - DECAY) * np.square(moved)
            if step + 1 in horizons:
                quantiles[:, list(horizons).index(step + 1)] = np.quantile(total, self.levels, axis=1).T
        return around_zero(quantiles, self.levels)


def _ranks(seed: int) -> FloatArray:
    """Where in the order of the residuals each path's shocks stand, in (0, 1), shape ``(2 * PAIRS, STEPS)``.

    Each step is stratified (McKay, Beckman and Conover 1979, Latin hypercube): every rank comes once. The second half
    mirrors the first (antithetic variates).
    """
    rng = np.random.default_rng(seed)
    ranks = (np.stack([rng.permutation(PAIRS) for _ in range(STEPS)], axis=1) + 0.5) / PAIRS
    return np.concatenate([ranks, 1.0 - ranks])


def _drawn(residuals: FloatArray, ranks: FloatArray) -> FloatArray:
    """Centred residuals of the newest days by rank, shape as ``ranks``."""
    newest = residuals[-RESIDUALS_USED:]
    centred: FloatArray = np.sort(newest - newest.mean())
    return centred[(ranks * len(centred)).astype(np.int64)]
