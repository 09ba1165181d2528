"""What a backtest keeps of each forecast, so that any grouping can be scored when all are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.backtest import Block
from ml_lifecycle.evaluation.intervals import INTERVALS, interval_places
from ml_lifecycle.evaluation.rows import BoolArray, ForecastArrays, RowArrays


@dataclass(frozen=True)
class MethodLosses(RowArrays):
    """One method's losses at outcomes, log returns unless said otherwise.

    Attributes
    ----------
    pinball : mean over the levels.
    crps : continuous ranked probability score, from the quantiles.
    median : what was foretold; its error is that of the point forecast.
    inside, width : of the central intervals that the levels bound, shape ``(n, n_intervals)``.
    """

    pinball: FloatArray
    crps: FloatArray
    median: FloatArray
    inside: BoolArray
    width: FloatArray

    @classmethod
    def of(cls, actual: FloatArray, quantiles: FloatArray, levels: Sequence[float]) -> Self:
        """Losses of quantiles ``(n, n_levels)`` at outcomes ``(n,)``."""
        bounds = [interval_places(levels, level) for level in intervals(levels)]
        lower, upper = (quantiles[:, [bound[side] for bound in bounds]] for side in (0, 1))
        return cls(
            pinball=metrics.pinball_losses(actual, quantiles, levels),
            crps=metrics.crps_from_quantiles(actual, quantiles, levels),
            median=quantiles[:, list(levels).index(0.5)],
            inside=(lower <= actual[:, None]) & (actual[:, None] <= upper),
            width=upper - lower,
        )


@dataclass(frozen=True)
class Outcomes(ForecastArrays):
    """Forecasts whose outcome is known, and each method's losses at them."""

    methods: Mapping[str, MethodLosses]

    @classmethod
    def of(cls, block: Block, levels: Sequence[float]) -> Self:
        """Score the rows of a block that have an outcome, and an answer of every method."""
        known = np.isfinite(block.actual)
        for quantiles in block.quantiles.values():
            known &= np.isfinite(quantiles).all(axis=1)
        rows = block.where(known)
        methods = {name: MethodLosses.of(rows.actual, values, levels) for name, values in rows.quantiles.items()}
        return cls(**rows.without_forecasts(), methods=methods)


def intervals(levels: Sequence[float]) -> list[float]:
    """The central intervals that the levels bound, of 50, 80, 90 and 95 %."""
    return [level for level in INTERVALS if interval_places(levels, level)]
