"""How uncertain a sum over days is whose days know of each other."""

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray

MEMORY_SHARE = 0.2  # of the days: how far apart two of them are still taken to know of each other
# Over so many lags the estimate itself is low and uncertain, and a test at 5 % needs 2.57 deviations, not 1.96:
# Kiefer and Vogelsang (Econometric Theory 21, 2005), Bartlett's kernel, b = 0.2.
SHORTFALL = (2.566 / 1.96) ** 2


def long_run_variance(parts: FloatArray) -> FloatArray:
    """Variance of the sum of ``parts``, shape ``(n_days, n)``, oldest day first, each of mean 0.

    Newey and West (Econometrica 55, 1987): covariances up to ``MEMORY_SHARE`` of the days apart, under Bartlett's
    weights; made up for their shortfall.

    >>> parts = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    >>> (long_run_variance(parts) / SHORTFALL).tolist()  # lag 1 weighs a half: 4 - 2 * 3 / 2
    [1.0]
    """
    lags = max(1, int(MEMORY_SHARE * len(parts)))
    variance: FloatArray = (parts * parts).sum(axis=0)
    for lag in range(1, min(lags, len(parts) - 1) + 1):
        variance = variance + 2.0 * (1.0 - lag / (lags + 1)) * (parts[lag:] * parts[:-lag]).sum(axis=0)
    return SHORTFALL * np.maximum(variance, 0.0)
