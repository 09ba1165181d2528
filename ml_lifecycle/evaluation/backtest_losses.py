"""What a backtest keeps of each forecast, so that any grouping can be scored when all are made."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation import metrics
from ml_lifecycle.evaluation.backtest import Block
from ml_lifecycle.evaluation.intervals import INTERVALS, interval_places

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class MethodLosses:
    """One method's losses, log returns unless said otherwise; every array has as many rows as the outcomes.

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

    def where(self, wanted: BoolArray) -> Self:
        """The rows that ``wanted`` marks."""
        return type(self)(*(getattr(self, one.name)[wanted] for one in fields(self)))

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
class Outcomes:
    """Forecasts whose outcome is known, and each method's losses at them.

    ``ticker, cutoff, horizon, anchor, actual, volatility`` as in ``Block``.
    """

    ticker: NDArray[np.str_]
    cutoff: DayArray
    horizon: IntArray
    anchor: FloatArray
    actual: FloatArray
    volatility: FloatArray
    methods: Mapping[str, MethodLosses]

    def __len__(self) -> int:
        return len(self.actual)

    def where(self, wanted: BoolArray) -> "Outcomes":
        """The rows that ``wanted`` marks."""
        methods = {name: losses.where(wanted) for name, losses in self.methods.items()}
        return Outcomes(**{name: getattr(self, name)[wanted] for name in _ROW_ARRAYS}, methods=methods)

    @classmethod
    def of(cls, block: Block, levels: Sequence[float]) -> "Outcomes":
        """Score the rows of a block that have an outcome, and an answer of every method."""
        known = np.isfinite(block.actual)
        for quantiles in block.quantiles.values():
            known &= np.isfinite(quantiles).all(axis=1)
        rows = block.where(known)
        methods = {name: MethodLosses.of(rows.actual, values, levels) for name, values in rows.quantiles.items()}
        return cls(**{name: getattr(rows, name) for name in _ROW_ARRAYS}, methods=methods)

    @classmethod
    def joined(cls, parts: Sequence["Outcomes"]) -> "Outcomes":
        """All rows, in the order of the parts."""
        arrays: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ROW_ARRAYS}
        names = [one.name for one in fields(MethodLosses)]
        methods = {
            method: MethodLosses(
                *(np.concatenate([getattr(part.methods[method], name) for part in parts]) for name in names)
            )
            for method in parts[0].methods
        }
        return cls(**arrays, methods=methods)


_ROW_ARRAYS = ("ticker", "cutoff", "horizon", "anchor", "actual", "volatility")


def intervals(levels: Sequence[float]) -> list[float]:
    """The central intervals that the levels bound, of 50, 80, 90 and 95 %."""
    return [level for level in INTERVALS if interval_places(levels, level)]
