"""The naive forecast, moved along by what the share has gained a day."""

from collections.abc import Sequence

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED, HISTORY_USED, RETURNS_USED, naive_quantiles_at
from ml_lifecycle.evaluation.methods.per_ticker import PerTickerMethod


class DriftMethod(PerTickerMethod):
    """Random walk with drift: ``h`` times the mean log return of the last 1,000 days, with the naive's intervals.

    Source: Hyndman and Athanasopoulos, *Forecasting: Principles and Practice*, 5.2.
    """

    history_needed = HISTORY_NEEDED
    history_used = HISTORY_USED

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        first = np.maximum(ends - RETURNS_USED, 0)
        daily = np.log(bars.adj_close[ends] / bars.adj_close[first]) / (ends - first)
        moved = daily[:, None, None] * np.array(horizons)[:, None]
        quantiles: FloatArray = naive_quantiles_at(bars.adj_close, ends, horizons, self.levels) + moved
        return quantiles
