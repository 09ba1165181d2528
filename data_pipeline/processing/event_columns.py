"""Input columns about days that looked like earnings, and about the same days of the quarters before.

No calendar of earnings is read: a day with a wide range on high volume is taken for one. Companies report about every
63 trading days (13 weeks), so that such days a quarter ago, two, three and four, seen from the days that a forecast is
about, say how likely it holds the next one.
"""

from functools import partial

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.bar_columns import range_volatility
from data_pipeline.processing.causal_filters import lagged, trailing_max, trailing_mean
from data_pipeline.processing.column_definition import InputColumn
from data_pipeline.processing.volatility import MINIMUM_SCALE, ewma_volatility, log_returns

USUAL_DECAY, USUAL_DAYS = 0.97, 120  # the volatility that a day is compared with
VOLUME_DAYS = 20
QUARTER_DAYS = 63
QUARTERS_BACK = (1, 2, 3, 4)
SLACK_DAYS = 2  # a report comes some days earlier or later than a quarter ago, and holidays shift the count
TARGET_DAYS = {"1": (1, 1), "2_3": (2, 3), "4_5": (4, 5), "6_10": (6, 10), "11_21": (11, 21), "22_30": (22, 30)}


def event_score(bars: BarArrays) -> FloatArray:
    """How much a day stood out from those before it, by range and volume together.

    ``ln(1 + range volatility / volatility until yesterday * (1 + volume / its mean until yesterday) / 2)``: about 0.5
    on most days, 2 to 3 at earnings.
    """
    usual = lagged(ewma_volatility(log_returns(bars.adj_close), USUAL_DECAY, USUAL_DAYS), 1)
    wide = range_volatility(bars) / np.maximum(usual, MINIMUM_SCALE)
    mean = lagged(trailing_mean(bars.volume, VOLUME_DAYS), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(mean == 0.0, 1.0, bars.volume / mean)
    score: FloatArray = np.log1p(wide * (1.0 + ratio) / 2.0)
    return score


def seasonal_event(bars: BarArrays, first: int, last: int, quarters: tuple[int, ...]) -> FloatArray:
    """The highest scores around the ``first`` to ``last`` day after the cutoff, whole quarters earlier; their mean.

    Parameters
    ----------
    first, last : days after the cutoff, ``last + SLACK_DAYS`` less than a quarter.
    quarters : how many quarters earlier, averaged over.
    """
    highest = trailing_max(event_score(bars), last - first + 1 + 2 * SLACK_DAYS)
    # The newest day around `last`, q quarters earlier, lies this many days before the cutoff.
    newest = [QUARTER_DAYS * quarter - last - SLACK_DAYS for quarter in quarters]
    seen: FloatArray = np.mean([lagged(highest, distance) for distance in newest], axis=0)
    return seen


def days_since_event(bars: BarArrays) -> FloatArray:
    """Place of the highest score of the newest quarter: 0 at the cutoff, 1 a quarter ago."""
    score = event_score(bars)
    highest, place = score, np.zeros(len(score))
    for lag in range(1, QUARTER_DAYS + 1):
        earlier = lagged(score, lag)
        place = np.where(earlier > highest, float(lag), place)
        highest = np.maximum(highest, earlier)  # NaN stays: before the warm-up nothing is known
    return np.where(np.isnan(highest), np.nan, place / QUARTER_DAYS)


SCORE_WARM_UP = USUAL_DAYS + 1
SEASON_WARM_UP = SCORE_WARM_UP + QUARTER_DAYS * QUARTERS_BACK[-1] - 1 + SLACK_DAYS

EVENT_COLUMNS = (
    InputColumn("event_score", SCORE_WARM_UP, event_score),
    InputColumn("days_since_event", SCORE_WARM_UP + QUARTER_DAYS, days_since_event),
    *(
        InputColumn(
            f"seasonal_event_{name}",
            SEASON_WARM_UP,
            partial(seasonal_event, first=first, last=last, quarters=QUARTERS_BACK),
        )
        for name, (first, last) in TARGET_DAYS.items()
    ),
    *(
        InputColumn(
            f"yearly_event_{name}",
            SEASON_WARM_UP,
            partial(seasonal_event, first=first, last=last, quarters=QUARTERS_BACK[-1:]),
        )
        for name, (first, last) in TARGET_DAYS.items()
    ),
)
