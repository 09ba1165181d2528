"""What computes a network's quantiles: ONNX Runtime, or Keras where that is asked for."""

from typing import Protocol

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.scaler import Float32Array


class Engine(Protocol):
    """One loaded graph, or a weighted average of several."""

    def quantiles(self, window: Float32Array, context: Float32Array) -> FloatArray:
        """Quantiles at the heads in scaled units, shape ``(batch, n_horizons, n_levels)``.

        Parameters
        ----------
        window : shape ``(batch, lookback, n_columns)``, scaled.
        context : shape ``(batch, n_context)``, scaled.
        """
