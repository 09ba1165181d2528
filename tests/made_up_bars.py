"""Bars that were never traded, for tests: a seed and what the test cares about."""

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray


def make_bars(n_bars: int, *, seed: int = 0, start: str = "2010-01-04", volatility: float = 0.015) -> BarArrays:
    """Bars of a share whose volatility wanders; dividends have been paid, so ``adj_close`` lies below ``close``.

    The market around it is known every day.
    """
    rng = np.random.default_rng(seed)
    state = np.exp(0.3 * np.cumsum(rng.normal(0.0, 0.1, n_bars)) / np.sqrt(1.0 + 0.01 * np.arange(n_bars)))
    close = 50.0 * np.exp(np.cumsum(volatility * state * rng.standard_normal(n_bars)))
    opened = close * np.exp(rng.normal(0.0, 0.006, n_bars))
    high = np.maximum(opened, close) * np.exp(np.abs(rng.normal(0.0, 0.004, n_bars)))
    low = np.minimum(opened, close) * np.exp(-np.abs(rng.normal(0.0, 0.004, n_bars)))
    return BarArrays(
        trading_day=weekdays(n_bars, start),
        open=opened,
        high=high,
        low=low,
        close=close,
        adj_close=close * 0.9 ** (np.arange(n_bars)[::-1] // 250),
        volume=np.round(1e6 * np.exp(rng.normal(0.0, 0.5, n_bars))),
        market_return=rng.normal(0.0, 0.01, n_bars),
        market_absolute_return=np.abs(rng.normal(0.0, 0.015, n_bars)),
    )


def bars_of_closes(closes: FloatArray, *, start: str = "2010-01-04") -> BarArrays:
    """Bars whose four prices are one and the same; a million shares a day."""
    volume = np.full(len(closes), 1e6)
    return BarArrays(weekdays(len(closes), start), closes, closes, closes, closes, closes, volume)


def weekdays(n_days: int, start: str = "2010-01-04") -> np.ndarray:
    """So many weekdays from ``start`` on."""
    return np.busday_offset(np.datetime64(start, "D"), np.arange(n_days), roll="forward")
