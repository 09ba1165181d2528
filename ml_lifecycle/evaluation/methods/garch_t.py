"""GARCH(1,1) with Student-t shocks, fitted by ``arch``."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from data_pipeline.processing.volatility import log_returns
from ml_lifecycle.evaluation.methods.per_ticker import LONGEST_QUARTER, PerTickerMethod, last_quarter_ends
from ml_lifecycle.export.manifest import STEPS

RETURNS_FITTED = 2000
RETURNS_NEEDED = 500
PAIRS = 1000  # of mirrored paths
PERCENT = 100.0  # arch's optimiser wants returns near 1


@dataclass(frozen=True)
class GarchFit:
    """``variance[t + 1] = omega + alpha * return[t]**2 + beta * variance[t]``, returns in per cent.

    ``next_variance`` is that of the first return after those fitted; ``nu`` are the degrees of freedom of the shocks.
    """

    omega: float
    alpha: float
    beta: float
    nu: float
    next_variance: float


class GarchTMethod(PerTickerMethod):
    """Fitted at the end of each quarter on the last 2,000 returns, run on to the cutoff, simulated from there.

    The mean is zero: the method knows of risk, not of direction. Source: Bollerslev (1987), *A conditionally
    heteroskedastic time series model for speculative prices and rates of return*.
    """

    history_needed = 1 + RETURNS_NEEDED + LONGEST_QUARTER
    history_used = 1 + RETURNS_FITTED + LONGEST_QUARTER

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        returns = PERCENT * log_returns(bars.adj_close)
        fitted_at = last_quarter_ends(bars.trading_day, ends)
        uniform = np.random.default_rng(0).random((PAIRS, STEPS))  # the same at every cutoff
        quantiles = np.full((len(ends), len(horizons), len(self.levels)), np.nan)
        for row in np.unique(fitted_at):
            of_quarter = np.flatnonzero(fitted_at == row)
            fitted = fit_garch(returns[max(1, row + 1 - RETURNS_FITTED) : row + 1])
            if fitted is not None:
                variance = variances(fitted, returns[row + 1 : ends[of_quarter].max() + 1])[ends[of_quarter] - row]
                quantiles[of_quarter] = _simulated(fitted, variance, uniform, horizons, self.levels) / PERCENT
        return quantiles


def fit_garch(returns: FloatArray) -> GarchFit | None:
    """Maximum likelihood on returns in per cent; None where they do not vary."""
    from arch import arch_model

    if np.ptp(returns) == 0.0:
        return None
    model = arch_model(returns, mean="Zero", vol="GARCH", p=1, q=1, dist="t", rescale=False)
    found = model.fit(disp="off", show_warning=False)
    omega, alpha, beta, nu = (float(value) for value in found.params)
    newest = omega + alpha * float(returns[-1]) ** 2 + beta * float(found.conditional_volatility[-1]) ** 2
    return GarchFit(omega, alpha, beta, nu, newest)


def variances(fitted: GarchFit, returns: FloatArray) -> FloatArray:
    """Variance of each return after those fitted, and of the one that follows, shape ``(n_returns + 1,)``."""
    values = [fitted.next_variance]
    for each in returns.tolist():
        values.append(fitted.omega + fitted.alpha * each**2 + fitted.beta * values[-1])
    return np.array(values)


def _simulated(
    fitted: GarchFit, variance: FloatArray, uniform: FloatArray, horizons: Sequence[int], levels: Sequence[float]
) -> FloatArray:
    """Quantiles of summed returns in per cent, shape ``(n, n_horizons, n_levels)``, from today's ``variance (n,)``."""
    from scipy.stats import t

    shock = t.ppf(uniform, fitted.nu) * np.sqrt((fitted.nu - 2.0) / fitted.nu)
    shocks = np.concatenate([shock, -shock])
    now = np.repeat(variance[:, None], len(shocks), axis=1)
    total = np.zeros(now.shape)
    quantiles = np.empty((len(variance), len(horizons), len(levels)))
    for step in range(max(horizons)):
        moved = np.sqrt(now) * shocks[:, step]
        total += moved
        now = fitted.omega + fitted.alpha * np.square(moved) + fitted.beta * now
        if step + 1 in horizons:
            quantiles[:, list(horizons).index(step + 1)] = np.quantile(total, levels, axis=1).T
    return quantiles
