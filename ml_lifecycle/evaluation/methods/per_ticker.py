"""What methods share that look at one ticker at a time."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from data_pipeline.errors import InsufficientHistoryError
from data_pipeline.processing.bar_arrays import BarArrays, DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation.forecasters import Cutoffs, GivenForecast
from ml_lifecycle.export.manifest import LEVELS, STEPS

LONGEST_QUARTER = 92  # bars that can follow a quarter's end before the next: crypto trades every day


class PerTickerMethod(ABC):
    """Both doors of a forecaster (``BatchForecaster``) on one function of a ticker's bars and cutoffs."""

    history_needed: int
    history_used: int

    def __init__(self, levels: tuple[float, ...] = LEVELS) -> None:
        self.levels = levels

    @abstractmethod
    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """Log-return quantiles at cutoffs, none of which may depend on a later bar; NaN where there is no answer.

        Shape ``(n_ends, n_horizons, n_levels)``.
        """

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        """See ``Forecaster``."""
        cutoffs = [Cutoffs(bars, np.array([len(bars) - 1])) for bars in many_bars]
        return [GivenForecast(answer[0]) for answer in self.forecast_cutoffs(cutoffs, range(1, STEPS + 1))]

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """See ``BatchForecaster``.

        Raises
        ------
        InsufficientHistoryError : a cutoff has fewer than ``history_needed`` bars up to it.
        """
        for entry in cutoffs:
            if len(entry.ends) and entry.ends.min() + 1 < self.history_needed:
                raise InsufficientHistoryError(needed=self.history_needed, found=int(entry.ends.min()) + 1)
        return [self.quantiles_at(entry.bars, entry.ends, horizons) for entry in cutoffs]


def last_quarter_ends(trading_day: DayArray, ends: IntArray) -> IntArray:
    """Row of the last bar of the quarter before each cutoff's; -1 where the bars begin later.

    Parameters are fitted there: a quarter's cutoffs share one fit, and none of them depends on which cutoffs are asked.

    >>> days = np.array(["2020-03-30", "2020-03-31", "2020-04-01", "2020-04-02"], dtype="datetime64[D]")
    >>> last_quarter_ends(days, np.array([1, 2, 3])).tolist()
    [-1, 1, 1]
    """
    quarter = trading_day.astype("datetime64[M]").astype(np.int64) // 3
    rows: IntArray = np.searchsorted(quarter, quarter[ends], side="left") - 1
    return rows
