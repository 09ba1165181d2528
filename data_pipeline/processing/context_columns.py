"""Input columns meant to be read once, at the cutoff: the state of volatility, trend and calendar."""

from collections.abc import Callable
from functools import partial

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.bar_columns import gap, range_volatility
from data_pipeline.processing.causal_filters import lagged, trailing_max, trailing_mean, trailing_sum
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.volatility import MINIMUM_SCALE, ewma_volatility, log_returns

YEAR_DAYS = 250  # trading days in the long averages; the default scale is cut here too
SHORT_DAYS = 59  # returns in the short averages: a client's 60 closes give so many
LONG_DECAY = 0.99


def volatility_level(bars: BarArrays, length: int = YEAR_DAYS) -> FloatArray:
    """Log of the slow volatility, per day: a utility and a miner differ here, and their tails differ with it."""
    return np.log(np.maximum(_ewma(bars, LONG_DECAY, length), MINIMUM_SCALE))


def volatility_state(bars: BarArrays, decay: float, length: int = YEAR_DAYS) -> FloatArray:
    """Log of a faster volatility over the slow one, both cut at ``length`` returns: above 0 in a storm."""
    return np.log(np.maximum(_ewma(bars, decay, length), MINIMUM_SCALE)) - volatility_level(bars, length)


def range_state(bars: BarArrays, decay: float) -> FloatArray:
    """Log of the recent range volatility over the slow volatility of closes."""
    recent = ewma_volatility(range_volatility(bars), decay, YEAR_DAYS)
    return np.log(np.maximum(recent, MINIMUM_SCALE)) - volatility_level(bars)


def range_over_days(bars: BarArrays, days: int) -> FloatArray:
    """Log of the root mean square range volatility of the newest ``days`` over the slow volatility of closes."""
    recent = np.sqrt(trailing_mean(np.square(range_volatility(bars)), days))
    return np.log(np.maximum(recent, MINIMUM_SCALE)) - volatility_level(bars)


def tail_weight(bars: BarArrays) -> FloatArray:
    """Log of a year's root mean square return over its mean absolute return: 0.23 for a normal law, more with jumps."""
    returns = log_returns(bars.adj_close)
    root_mean_square = np.sqrt(trailing_mean(np.square(returns), YEAR_DAYS))
    mean_absolute = trailing_mean(np.abs(returns), YEAR_DAYS)
    return np.log(np.maximum(root_mean_square, MINIMUM_SCALE) / np.maximum(mean_absolute, MINIMUM_SCALE))


def volatility_swing(bars: BarArrays) -> FloatArray:
    """Standard deviation over a year of the log of a month's volatility: how far apart calm and storm lie."""
    month = np.log(np.maximum(_ewma(bars, MONTH_DECAY, MONTH_DAYS), MINIMUM_SCALE))
    mean = trailing_mean(month, YEAR_DAYS)
    variance = trailing_mean(np.square(month), YEAR_DAYS) - np.square(mean)
    return np.sqrt(np.maximum(variance, 0.0))


def overnight_share(bars: BarArrays) -> FloatArray:
    """Mean square of a year's gaps over that of its returns: high where news comes while the exchange is shut."""
    nights = trailing_mean(np.square(gap(bars)), YEAR_DAYS)
    days = trailing_mean(np.square(log_returns(bars.adj_close)), YEAR_DAYS)
    return nights / np.maximum(days, MINIMUM_SCALE**2)


def volume_state(bars: BarArrays, days: int, usual_days: int) -> FloatArray:
    """``ln(1 + mean volume of the newest days / that of usual_days) - ln 2``: 0 as usual, -0.69 without trade."""
    recent, usual = (trailing_mean(bars.volume, length) for length in (days, usual_days))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(usual > 0.0, recent / usual, 1.0)
    return np.where(np.isnan(usual), np.nan, np.log1p(ratio) - np.log(2.0))


def drawdown(bars: BarArrays) -> FloatArray:
    """Log of the adjusted close over its highest of a year; 0 at a high."""
    return np.log(bars.adj_close / trailing_max(bars.adj_close, YEAR_DAYS))


def momentum(bars: BarArrays, days: int) -> FloatArray:
    """Log return over ``days`` days in units of its own volatility."""
    change = np.log(bars.adj_close / lagged(bars.adj_close, days))
    in_volatilities: FloatArray = change / (
        np.maximum(_ewma(bars, LONG_DECAY, YEAR_DAYS), MINIMUM_SCALE) * np.sqrt(days)
    )
    return in_volatilities


def calendar_wave(bars: BarArrays, wave: Callable[[FloatArray], FloatArray], period: str) -> FloatArray:
    """Sine or cosine of the cutoff's place in the week or the year."""
    days = bars.trading_day.astype("datetime64[D]")
    if period == "week":
        place = (days.astype(np.int64) + 3) % 7 / 7.0  # 1970-01-01 was a Thursday
    else:
        place = (days - days.astype("datetime64[Y]")).astype(np.int64) / 366.0
    return wave(2.0 * np.pi * place)


def jump_share(bars: BarArrays) -> FloatArray:
    """How much of a quarter's squared returns its largest one holds: high after an earnings jump."""
    squares = np.square(log_returns(bars.adj_close))
    total = trailing_sum(squares, np.ones(JUMP_DAYS))
    return trailing_max(squares, JUMP_DAYS) / np.maximum(total, MINIMUM_SCALE**2)


JUMP_DAYS = 63
MONTH_DECAY, MONTH_DAYS = 0.94, 124  # the decay has forgotten all but 0.05 % of what lies farther back


def _ewma(bars: BarArrays, decay: float, length: int) -> FloatArray:
    return ewma_volatility(log_returns(bars.adj_close), decay, length)


CONTEXT_COLUMNS = (
    InputColumn("volatility_level", YEAR_DAYS, volatility_level, reads="closes"),
    InputColumn("volatility_state_fast", YEAR_DAYS, partial(volatility_state, decay=0.8), reads="closes"),
    InputColumn("volatility_state_medium", YEAR_DAYS, partial(volatility_state, decay=0.94), reads="closes"),
    InputColumn("volatility_state_slow", YEAR_DAYS, partial(volatility_state, decay=0.97), reads="closes"),
    InputColumn("short_volatility_level", SHORT_DAYS, partial(volatility_level, length=SHORT_DAYS), reads="closes"),
    InputColumn(
        "short_volatility_state", SHORT_DAYS, partial(volatility_state, decay=0.8, length=SHORT_DAYS), reads="closes"
    ),
    InputColumn("range_state_fast", YEAR_DAYS, partial(range_state, decay=0.7)),
    InputColumn("range_state_medium", YEAR_DAYS, partial(range_state, decay=0.94)),
    InputColumn("range_state_slow", YEAR_DAYS, partial(range_state, decay=0.98)),
    InputColumn("range_today", YEAR_DAYS, partial(range_over_days, days=1)),
    InputColumn("range_week", YEAR_DAYS, partial(range_over_days, days=5)),
    InputColumn("tail_weight", YEAR_DAYS, tail_weight, reads="closes"),
    InputColumn("volatility_swing", MONTH_DAYS + YEAR_DAYS - 1, volatility_swing, reads="closes"),
    InputColumn("overnight_share", YEAR_DAYS, overnight_share),
    InputColumn("volume_state_fast", 59, partial(volume_state, days=5, usual_days=60)),
    InputColumn("volume_state_slow", YEAR_DAYS - 1, partial(volume_state, days=20, usual_days=YEAR_DAYS)),
    InputColumn("drawdown", YEAR_DAYS - 1, drawdown, reads="closes"),
    InputColumn("momentum_month", YEAR_DAYS, partial(momentum, days=21), reads="closes"),
    InputColumn("momentum_half_year", YEAR_DAYS, partial(momentum, days=126), reads="closes"),
    InputColumn("jump_share", JUMP_DAYS, jump_share, reads="closes"),
    InputColumn("weekday_sine", 0, partial(calendar_wave, wave=np.sin, period="week")),
    InputColumn("weekday_cosine", 0, partial(calendar_wave, wave=np.cos, period="week")),
    InputColumn("season_sine", 0, partial(calendar_wave, wave=np.sin, period="year")),
    InputColumn("season_cosine", 0, partial(calendar_wave, wave=np.cos, period="year")),
)
