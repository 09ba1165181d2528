"""The classic indicators, from TA-Lib, as input columns: each relative to the price, so that no price level matters.

TA-Lib is imported when a value is asked for, not when this module is: an API process that serves a bundle without
indicators never loads it.
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.causal_filters import lagged
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.volatility import log_returns

AVERAGE_DAYS = 20
RSI_DAYS = ATR_DAYS = 14
MACD_FAST, MACD_SLOW, MACD_SIGNAL = 12, 26, 9
SHORT_VOLUME_DAYS = 5

# Recursive averages never forget wholly: these many bars leave less than 1e-10 of what stood before them
# (the weight of the past is (1 - 2/21)**240 for EMA 20, (13/14)**330 for RSI and ATR 14, (25/27)**360 for MACD).
EMA_WARM_UP, WILDER_WARM_UP, MACD_WARM_UP = 240, 330, 360


def sma(bars: BarArrays) -> FloatArray:
    """Simple moving average of 20 days over the close, minus 1."""
    import talib

    return _over_price(talib.SMA(bars.adj_close, AVERAGE_DAYS), bars)


def ema(bars: BarArrays) -> FloatArray:
    """Exponential moving average of 20 days over the close, minus 1."""
    import talib

    return _over_price(talib.EMA(bars.adj_close, AVERAGE_DAYS), bars)


def rsi(bars: BarArrays) -> FloatArray:
    """Relative strength index of 14 days, as a fraction of 1."""
    import talib

    strength: FloatArray = talib.RSI(bars.adj_close, RSI_DAYS) / 100.0
    return strength


def macd(bars: BarArrays, part: int) -> FloatArray:
    """Moving average convergence divergence 12/26/9 over the close: its line (0), signal (1) or histogram (2)."""
    import talib

    parts = talib.MACD(bars.adj_close, MACD_FAST, MACD_SLOW, MACD_SIGNAL)
    relative: FloatArray = parts[part] / bars.adj_close
    return relative


def bollinger(bars: BarArrays, deviations: float) -> FloatArray:
    """Bollinger band so many deviations of 20 days above (or below) their mean, over the close, minus 1."""
    import talib

    middle = talib.SMA(bars.adj_close, AVERAGE_DAYS)
    # Not talib.BBANDS: it takes the variance as a difference of two large sums, and a later adjustment factor would
    # show in the twelfth digit. Apart from that the values are its own.
    squares = [np.square(lagged(bars.adj_close, lag) - middle) for lag in range(AVERAGE_DAYS)]
    deviation = np.sqrt(sum(squares) / AVERAGE_DAYS)
    return _over_price(middle + deviations * deviation, bars)


def atr(bars: BarArrays) -> FloatArray:
    """Average true range of 14 days over the close."""
    import talib

    factor = bars.adj_close / bars.close
    true_range: FloatArray = talib.ATR(bars.high * factor, bars.low * factor, bars.adj_close, ATR_DAYS)
    return true_range / bars.adj_close


def simple_return(bars: BarArrays) -> FloatArray:
    """Return from the close before, as a fraction."""
    import talib

    rate: FloatArray = talib.ROCP(bars.adj_close, 1)
    return rate


def volatility(bars: BarArrays) -> FloatArray:
    """Standard deviation of 20 log returns, per day."""
    import talib

    # TA-Lib's running sums never recover from a NaN, and the first return is one.
    deviation: FloatArray = talib.STDDEV(log_returns(bars.adj_close)[1:], AVERAGE_DAYS)
    return np.concatenate([[np.nan], deviation])


def volume_over_average(bars: BarArrays, days: int) -> FloatArray:
    """Volume over its simple moving average; 1 where nothing was traded in all the days."""
    import talib

    average = talib.SMA(bars.volume, days)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = bars.volume / average
    return np.where(average <= 0.0, 1.0, ratio)


def _over_price(level: FloatArray, bars: BarArrays) -> FloatArray:
    return level / bars.adj_close - 1.0


def _classic(name: str, warm_up: int, compute: Callable[[BarArrays], FloatArray]) -> InputColumn:
    return InputColumn(name, warm_up, compute)


INDICATORS = (
    _classic("sma", AVERAGE_DAYS - 1, sma),
    _classic("ema", EMA_WARM_UP, ema),
    _classic("rsi", WILDER_WARM_UP, rsi),
    _classic("macd", MACD_WARM_UP, partial(macd, part=0)),
    _classic("macd_signal", MACD_WARM_UP, partial(macd, part=1)),
    _classic("macd_histogram", MACD_WARM_UP, partial(macd, part=2)),
    _classic("bollinger_upper", AVERAGE_DAYS - 1, partial(bollinger, deviations=2.0)),
    _classic("bollinger_middle", AVERAGE_DAYS - 1, partial(bollinger, deviations=0.0)),
    _classic("bollinger_lower", AVERAGE_DAYS - 1, partial(bollinger, deviations=-2.0)),
    _classic("atr", WILDER_WARM_UP, atr),
    _classic("simple_return", 1, simple_return),
    _classic("volatility", AVERAGE_DAYS, volatility),
    _classic("volume_over_week", SHORT_VOLUME_DAYS - 1, partial(volume_over_average, days=SHORT_VOLUME_DAYS)),
    _classic("volume_over_month", AVERAGE_DAYS - 1, partial(volume_over_average, days=AVERAGE_DAYS)),
)
