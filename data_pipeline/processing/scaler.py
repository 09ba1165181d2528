"""Scaling of input columns: fitted with scikit-learn on the training part, stored as numbers, applied with NumPy."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from data_pipeline.errors import ConfigurationError
from data_pipeline.processing.bar_arrays import FloatArray

ScalerKind = Literal["standard", "min_max", "robust"]
Float32Array = NDArray[np.float32]
CLIP = 10.0  # a scaled value further out says "extreme" and no more; a bad price may not drive the network


@dataclass(frozen=True)
class ColumnScaling:
    """``(value - center) / width`` per column; both shape ``(n_columns,)``."""

    center: tuple[float, ...]
    width: tuple[float, ...]

    def apply(self, values: FloatArray) -> Float32Array:
        """Scaled, clipped values of the same shape ``(..., n_columns)``, in the network's float32.

        NaN, which only a column that ``can_be_unknown`` brings here, becomes 0.
        """
        scaled = (values - np.array(self.center)) / np.array(self.width)
        clipped: Float32Array = np.clip(np.nan_to_num(scaled), -CLIP, CLIP).astype(np.float32)
        return clipped


@dataclass(frozen=True)
class Scaler:
    """How windows and contexts are scaled before the network sees them."""

    kind: ScalerKind
    window: ColumnScaling
    context: ColumnScaling

    def apply(self, window: FloatArray, context: FloatArray) -> tuple[Float32Array, Float32Array]:
        """Scale ``window (..., lookback, n_columns)`` and ``context (..., n_context)`` for the network."""
        return self.window.apply(window), self.context.apply(context)

    def to_dict(self) -> dict[str, Any]:
        """The content of ``scaler.json``."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Read what ``to_dict`` wrote.

        Raises
        ------
        KeyError, TypeError, ValueError : the content is no scaler.
        """
        if content["kind"] not in ("standard", "min_max", "robust"):
            raise ValueError(f"no scaler kind {content['kind']!r}")
        return cls(content["kind"], _read_scaling(content["window"]), _read_scaling(content["context"]))


def fit_scaler(kind: ScalerKind, windows: FloatArray, contexts: FloatArray) -> Scaler:
    """Fit on windows and contexts of the training part, and of no other.

    Parameters
    ----------
    windows : shape ``(n, lookback, n_columns)``, unscaled.
    contexts : shape ``(n, n_context)``, unscaled.

    Raises
    ------
    ConfigurationError : a column is unknown (NaN) on every day: there is nothing to learn about it.
    """
    rows = windows.reshape(-1, windows.shape[-1])
    return Scaler(kind, _fit_columns(kind, rows), _fit_columns(kind, contexts))


def _fit_columns(kind: ScalerKind, rows: FloatArray) -> ColumnScaling:
    if rows.shape[1] == 0:
        return ColumnScaling((), ())
    if np.isnan(rows).all(axis=0).any():
        raise ConfigurationError("an input column is unknown on all training days: market columns need a universe")
    center, width = _fitted_numbers(kind, rows)
    # scikit-learn itself puts 1 where a column is constant.
    return ColumnScaling(tuple(map(float, center)), tuple(map(float, width)))


def _fitted_numbers(kind: ScalerKind, rows: FloatArray) -> tuple[FloatArray, FloatArray]:
    from sklearn.preprocessing import MinMaxScaler, RobustScaler, StandardScaler

    if kind == "standard":
        standard = StandardScaler().fit(rows)
        return standard.mean_, standard.scale_
    if kind == "robust":
        robust = RobustScaler().fit(rows)
        return robust.center_, robust.scale_
    min_max = MinMaxScaler().fit(rows)
    return min_max.data_min_, 1.0 / min_max.scale_


def _read_scaling(content: Mapping[str, Any]) -> ColumnScaling:
    center, width = (tuple(float(number) for number in content[key]) for key in ("center", "width"))
    if len(center) != len(width) or not np.all(np.isfinite(center)) or not np.all(np.array(width) > 0.0):
        raise ValueError("scaler numbers are not finite, not positive or not of one length")
    return ColumnScaling(center, width)
