"""Exponential smoothing whose form AutoETS chooses (``statsforecast``)."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation.methods.per_ticker import LONGEST_QUARTER, PerTickerMethod, last_quarter_ends

CLOSES_FITTED = 500
CLOSES_NEEDED = 250


class AutoEtsMethod(PerTickerMethod):
    """On the log of the adjusted close: form and smoothing chosen at the end of each quarter, by AICc, on 500 closes.

    At the cutoff the chosen form runs over the last 500 closes; intervals are its own, of normal errors. The log is of
    the close over the first one fitted, so that neither a currency nor a later dividend changes the choice: errors are
    additive, since multiplicative ones are not for values around 0. Source: Hyndman, Koehler, Snyder and Grose (2002),
    *A state space framework for automatic forecasting*.
    """

    history_needed = CLOSES_NEEDED + LONGEST_QUARTER
    history_used = CLOSES_FITTED + LONGEST_QUARTER

    def quantiles_at(self, bars: BarArrays, ends: IntArray, horizons: Sequence[int]) -> FloatArray:
        """See ``PerTickerMethod``."""
        fitted_at = last_quarter_ends(bars.trading_day, ends)
        quantiles = np.full((len(ends), len(horizons), len(self.levels)), np.nan)
        for row in np.unique(fitted_at):
            first = max(0, row + 1 - CLOSES_FITTED)
            log_close = np.log(bars.adj_close / bars.adj_close[first])
            model = _fitted(log_close[first : row + 1])
            if model is None:
                continue
            for place in np.flatnonzero(fitted_at == row):
                used = log_close[max(0, ends[place] + 1 - CLOSES_FITTED) : ends[place] + 1]
                quantiles[place] = _answer(model, used, horizons, self.levels) - used[-1]
        return quantiles


def _fitted(log_close: FloatArray) -> Any:
    """The chosen model; None where the closes do not vary."""
    from statsforecast.models import AutoETS

    return None if np.ptp(log_close) == 0.0 else AutoETS(season_length=1).fit(log_close)


def _answer(model: Any, log_close: FloatArray, horizons: Sequence[int], levels: Sequence[float]) -> FloatArray:
    """Quantiles of the log close, shape ``(n_horizons, n_levels)``: ends of the intervals that the levels bound."""
    percent = {level: round(100.0 * abs(2.0 * level - 1.0), 9) for level in levels}
    asked = sorted({value for value in percent.values() if value})
    told = model.forward(log_close, h=max(horizons), level=asked)
    names = {
        level: "mean" if value == 0.0 else f"{'lo' if level < 0.5 else 'hi'}-{value}"
        for level, value in percent.items()
    }
    steps = np.stack([told[name] for name in names.values()], axis=-1)
    rows: FloatArray = steps[[horizon - 1 for horizon in horizons]]
    return rows
