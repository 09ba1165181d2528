"""Input columns straight from the bars: one value per bar of a window."""

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.causal_filters import trailing_mean
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.volatility import log_returns

VOLUME_DAYS = 20


def log_return(bars: BarArrays) -> FloatArray:
    """Log return from the bar before, shape ``(n_bars,)``."""
    return log_returns(bars.adj_close)


def absolute_return(bars: BarArrays) -> FloatArray:
    """Size of the log return."""
    return np.abs(log_returns(bars.adj_close))


def gap(bars: BarArrays) -> FloatArray:
    """Log return from the last close to this open, dividends and splits removed."""
    return log_returns(bars.adj_close) - np.log(bars.close / bars.open)


def intraday_return(bars: BarArrays) -> FloatArray:
    """Log return from this open to this close."""
    return np.log(bars.close / bars.open)


def range_volatility(bars: BarArrays) -> FloatArray:
    """One day's volatility from its four prices: Rogers and Satchell's range estimator with the overnight gap added.

    Needs no drift and uses the range, so one day says about as much as five closes do.
    """
    high, low = np.log(bars.high / bars.open), np.log(bars.low / bars.open)
    close = np.log(bars.close / bars.open)
    within_day = high * (high - close) + low * (low - close)
    # The bar checks flag a close outside low..high but keep it: it may not turn into the root of a negative.
    variance: FloatArray = np.maximum(within_day, 0.0) + np.square(gap(bars))
    return np.sqrt(variance)


def volume_ratio(bars: BarArrays) -> FloatArray:
    """``ln(1 + volume / its mean of 20 days) - ln 2``: 0 on an ordinary day, -0.69 without trade."""
    mean = trailing_mean(bars.volume, VOLUME_DAYS)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(mean > 0.0, bars.volume / mean, 1.0)
    return np.where(np.isnan(mean), np.nan, np.log1p(ratio) - np.log(2.0))


BAR_COLUMNS = (
    InputColumn("log_return", 1, log_return, in_scale_units=True, reads="closes"),
    InputColumn("absolute_return", 1, absolute_return, in_scale_units=True, reads="closes"),
    InputColumn("gap", 1, gap, in_scale_units=True),
    InputColumn("intraday_return", 0, intraday_return, in_scale_units=True),
    InputColumn("range_volatility", 1, range_volatility, in_scale_units=True),
    InputColumn("volume_ratio", VOLUME_DAYS - 1, volume_ratio),
)
