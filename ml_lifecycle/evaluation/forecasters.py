"""What can be evaluated: anything that turns bars into quantiles of log returns."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from data_pipeline.processing.volatility import log_returns, volatility_scale
from ml_lifecycle.evaluation.baselines import HISTORY_NEEDED, HISTORY_USED, naive_quantiles, naive_quantiles_at
from ml_lifecycle.export.manifest import LEVELS


class HasLogReturns(Protocol):
    """One forecast: ``log_returns (30, n_levels)``, row ``i`` for the ``i + 1``-th bar after the cutoff."""

    @property
    def log_returns(self) -> FloatArray: ...


@runtime_checkable
class Forecaster(Protocol):
    """Bars in, quantiles out. A forecast is made at the last bar of each series and sees no later one."""

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels, ascending."""

    @property
    def history_needed(self) -> int:
        """Bars without which there is no forecast."""

    @property
    def history_used(self) -> int:
        """Newest bars that can change a forecast."""

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> Sequence[HasLogReturns]:
        """A forecast at the last bar of each series."""


VOLATILITY_DECAYS, VOLATILITY_LENGTH = (0.94, 0.99), 250  # by which calm and stormy cutoffs are told apart


@dataclass(frozen=True)
class Cutoffs:
    """Rows of one ticker's bars at which forecasts are asked for."""

    bars: BarArrays
    ends: IntArray

    def volatility(self) -> FloatArray:
        """Daily, known at each cutoff, the same for every method; NaN where too few bars are."""
        scale = volatility_scale(log_returns(self.bars.adj_close), VOLATILITY_DECAYS, VOLATILITY_LENGTH)
        return scale[self.ends]


@runtime_checkable
class BatchForecaster(Forecaster, Protocol):
    """A forecaster that computes shared work of many cutoffs once; its answers are those of ``forecast_many``."""

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """Log-return quantiles per entry, shape ``(n_ends, n_horizons, n_levels)``."""


@runtime_checkable
class Trainable(Protocol):
    """A method that learns before it forecasts; what it has learnt is a ``Forecaster``."""

    @property
    def levels(self) -> tuple[float, ...]:
        """Quantile levels, ascending."""

    @property
    def history_needed(self) -> int:
        """Bars without which what it has learnt makes no forecast."""

    @property
    def one_ticker(self) -> bool:
        """Whether it learns from one ticker for this ticker alone; else from all, once."""

    def fitted(self, bars_by_ticker: Mapping[str, BarArrays]) -> Forecaster:
        """Learn from these bars, which end before the first forecast.

        Raises
        ------
        ClosecastError : they are too few.
        """


@dataclass(frozen=True)
class GivenForecast:
    """One forecast; ``log_returns`` has shape ``(30, n_levels)``."""

    log_returns: FloatArray


class NaiveForecaster:
    """The naive forecast with empirical quantiles, through the same door as any other."""

    history_needed = HISTORY_NEEDED
    history_used = HISTORY_USED

    def __init__(self, levels: tuple[float, ...] = LEVELS) -> None:
        self.levels = levels

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        """See ``Forecaster``."""
        return [GivenForecast(naive_quantiles(bars, self.levels)) for bars in many_bars]

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """See ``BatchForecaster``."""
        return [naive_quantiles_at(entry.bars.adj_close, entry.ends, horizons, self.levels) for entry in cutoffs]


def forecast_at(forecaster: Forecaster, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
    """Ask a forecaster, in one pass where it can; shapes as ``BatchForecaster.forecast_cutoffs``."""
    if isinstance(forecaster, BatchForecaster):
        return forecaster.forecast_cutoffs(cutoffs, horizons)
    rows = [horizon - 1 for horizon in horizons]
    return [np.stack([steps[rows] for steps in _one_by_one(forecaster, entry)]) for entry in cutoffs]


def _one_by_one(forecaster: Forecaster, entry: Cutoffs) -> list[FloatArray]:
    first = [max(0, end + 1 - forecaster.history_used) for end in entry.ends]
    series = [entry.bars[start : end + 1] for start, end in zip(first, entry.ends, strict=True)]
    return [forecast.log_returns for forecast in forecaster.forecast_many(series)]
