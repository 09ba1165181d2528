"""Made-up bars for tests of bundles."""

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays


def make_bars(n_bars: int, *, seed: int = 0) -> BarArrays:
    """A random walk of about 1.5 % a day with plausible highs, lows and volumes."""
    random = np.random.default_rng(seed)
    close = 50.0 * np.exp(np.cumsum(0.015 * random.standard_normal(n_bars)))
    opened = close * np.exp(0.004 * random.standard_normal(n_bars))
    return BarArrays(
        trading_day=np.datetime64("2010-01-04", "D") + np.arange(n_bars),
        open=opened,
        high=np.maximum(opened, close) * 1.004,
        low=np.minimum(opened, close) * 0.996,
        close=close,
        adj_close=close * 0.9,
        volume=random.uniform(1e5, 1e6, n_bars),
    )


def join_bars(first: BarArrays, second: BarArrays) -> BarArrays:
    """``first`` and then ``second``; the days need not fit."""
    return BarArrays(
        *(np.concatenate([getattr(first, name), getattr(second, name)]) for name in BarArrays.__dataclass_fields__)
    )
