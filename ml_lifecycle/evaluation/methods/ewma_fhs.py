"""Exponentially weighted volatility with filtered historical simulation."""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from data_pipeline.processing.volatility import MINIMUM_SCALE, ewma_volatility, log_returns
from ml_lifecycle.evaluation.methods.per_ticker import PerTickerMethod
from ml_lifecycle.export.manifest import STEPS

DECAY = 0.94  # RiskMetrics' for daily returns (Technical Document, 1996)
LENGTH = 250  # the weights left out sum up to 2e-7
RESIDUALS_USED = 1000
RESIDUALS_NEEDED = 250
PATHS = 2000
AT_ONCE = 32  # cutoffs whose paths are held in memory together: 1 MiB a step


class EwmaFhsMethod(PerTickerMethod):
    """Past returns over the volatility foretold for them, drawn anew at today's volatility, day after day.

    Each path's volatility follows its own returns. Residuals are centred: the method knows of risk, not of direction.
    Source: Barone-Adesi, Giannopoulos and Vosper (1999), *VaR without correlations for portfolios of derivative
    securities*, with the EWMA filter of RiskMetrics.
    """

    history_needed = 1 + LENGTH + RESIDUALS_NEEDED
    history_used = 1 + LENGTH + RESIDUALS_USED

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        returns = log_returns(bars.adj_close)
        volatility = np.maximum(ewma_volatility(returns, DECAY, LENGTH), MINIMUM_SCALE)
        residuals = np.full(len(returns), np.nan)
        residuals[1:] = returns[1:] / volatility[:-1]
        draws = np.random.default_rng(0).random((PATHS, STEPS))  # the same at every cutoff
        blocks = np.split(ends, range(AT_ONCE, len(ends), AT_ONCE))
        return np.concatenate([self._simulated(residuals, volatility, rows, draws, horizons) for rows in blocks])

    def _simulated(
        self,
        residuals: FloatArray,
        volatility: FloatArray,
        ends: IntArray,
        draws: FloatArray,
        horizons: Sequence[int],
    ) -> FloatArray:
        drawn = np.stack([_draw(residuals[LENGTH + 1 : end + 1], draws) for end in ends])
        variance = np.square(volatility[ends])[:, None]
        total = np.zeros(drawn.shape[:2])
        quantiles = np.empty((len(ends), len(horizons), len(self.levels)))
        for step in range(max(horizons)):
            moved = np.sqrt(variance) * drawn[..., step]
            total += moved
            variance = DECAY * variance + (1.0 - DECAY) * np.square(moved)
            if step + 1 in horizons:
                quantiles[:, list(horizons).index(step + 1)] = np.quantile(total, self.levels, axis=1).T
        return quantiles


def _draw(residuals: FloatArray, draws: FloatArray) -> FloatArray:
    """Centred residuals of the newest days in random order, shape as ``draws`` (uniform in [0, 1))."""
    newest = residuals[-RESIDUALS_USED:]
    centred: FloatArray = newest - newest.mean()
    return centred[(draws * len(centred)).astype(np.int64)]
