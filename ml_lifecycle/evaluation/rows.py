"""Forecasts as arrays of one length, a row each: chosen, joined and measured alike whoever made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import DayArray, FloatArray
from data_pipeline.processing.lstm_preprocessor import IntArray
from ml_lifecycle.evaluation import metrics

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class RowArrays:
    """Base of what holds rows in arrays, in other ``RowArrays`` or in mappings of such; all else is about all rows."""

    def where(self, wanted: BoolArray) -> Self:
        """The rows that ``wanted`` marks."""
        return type(self)(**{one.name: _where(getattr(self, one.name), wanted) for one in fields(self)})

    @classmethod
    def joined(cls, parts: Sequence[Self]) -> Self:
        """All rows, in the order of the parts, of which there is at least one."""
        return cls(**{one.name: _joined([getattr(part, one.name) for part in parts]) for one in fields(cls)})


@dataclass(frozen=True)
class ForecastArrays(RowArrays):
    """Which forecasts, and what came: one row per ticker, cutoff and horizon.

    Attributes
    ----------
    ticker, cutoff, horizon : shape ``(n,)``.
    anchor : close at the cutoff, listing currency.
    actual : log return of the adjusted close over the horizon.
    volatility : daily, known at the cutoff; NaN where too few bars are.
    """

    ticker: NDArray[np.str_]
    cutoff: DayArray
    horizon: IntArray
    anchor: FloatArray
    actual: FloatArray
    volatility: FloatArray

    def __len__(self) -> int:
        return len(self.actual)

    def without_forecasts(self) -> dict[str, Any]:
        """The arrays above by name, to make other rows of."""
        return {one.name: getattr(self, one.name) for one in fields(ForecastArrays)}


@dataclass(frozen=True)
class PointFigures:
    """Figures of a median at one horizon, those of the last close beside them.

    Attributes
    ----------
    n, n_days : forecasts, and cutoff days among them.
    mae, rmse : of the median at ``anchor * exp(log return)``, in the unit of ``anchor``; currencies mix where
        tickers do.
    mape : fraction of the price that came.
    directional_accuracy : share of directions foretold, beside ``share_of_rises``, what always saying "up" would have
        got; None where the median never leaves the last close.
    pinball : mean over rows and levels, log return.
    """

    horizon: int
    n: int
    n_days: int
    mae: float
    naive_mae: float
    rmse: float
    naive_rmse: float
    mape: float
    naive_mape: float
    directional_accuracy: float | None
    share_of_rises: float | None
    pinball: float

    @classmethod
    def of(cls, rows: ForecastArrays, median: FloatArray, pinball: FloatArray) -> dict[str, Any]:
        """The figures by name of rows of one horizon; ``median`` (log returns) and ``pinball`` have shape ``(n,)``."""
        price, said = rows.anchor * np.exp(rows.actual), rows.anchor * np.exp(median)
        return {
            "horizon": int(rows.horizon[0]),
            "n": len(rows),
            "n_days": len(np.unique(rows.cutoff)),
            "mae": metrics.mean_absolute_error(price, said),
            "naive_mae": metrics.mean_absolute_error(price, rows.anchor),
            "rmse": metrics.root_mean_square_error(price, said),
            "naive_rmse": metrics.root_mean_square_error(price, rows.anchor),
            "mape": metrics.mean_absolute_percentage_error(price, said),
            "naive_mape": metrics.mean_absolute_percentage_error(price, rows.anchor),
            "directional_accuracy": metrics.directional_accuracy(rows.actual, median),
            "share_of_rises": metrics.share_of_rises(rows.actual),
            "pinball": float(np.mean(pinball)),
        }


def _where(value: Any, wanted: BoolArray) -> Any:
    if isinstance(value, Mapping):
        return {name: _where(each, wanted) for name, each in value.items()}
    if isinstance(value, RowArrays):
        return value.where(wanted)
    return value[wanted] if isinstance(value, np.ndarray) else value


def _joined(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, Mapping):
        return {name: _joined([each[name] for each in values]) for name in first}
    if isinstance(first, RowArrays):
        return type(first).joined(values)
    return np.concatenate(values) if isinstance(first, np.ndarray) else first
