"""A trained Keras network as a forecaster, before it is exported: one pass over many cutoffs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputSpec, IntArray, PreparedSeries, prepare_series
from data_pipeline.processing.scaler import Float32Array, Scaler
from ml_lifecycle.evaluation.forecasters import Cutoffs, GivenForecast
from ml_lifecycle.export.interpolation import interpolate_steps, median_index
from ml_lifecycle.export.long_run import long_run_history, with_long_run

BATCH = 1024


class NetworkForecaster:
    """Quantiles of log returns at a network's heads, statically calibrated.

    Parameters
    ----------
    network : inputs ``window`` and ``context``, output ``(batch, n_horizons, n_levels)`` in scaled units.
    offsets : shape ``(n_horizons, n_levels)``, scaled units.
    long_run_shares : as ``TrainingConfig`` has them.
    """

    def __init__(
        self,
        network: Any,
        spec: InputSpec,
        scaler: Scaler,
        *,
        horizons: tuple[int, ...],
        levels: tuple[float, ...],
        offsets: FloatArray,
        long_run_shares: tuple[float, ...] = (),
    ) -> None:
        self.network, self.spec, self.scaler = network, spec, scaler
        self.horizons, self.levels, self.offsets = horizons, levels, offsets
        self.long_run_shares = long_run_shares
        self.history_needed = spec.history_needed
        self.history_used = long_run_history(spec.history_needed, long_run_shares)

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        """See ``Forecaster``."""
        newest = [bars.last(self.history_used) for bars in many_bars]
        cutoffs = [Cutoffs(bars, np.array([len(bars) - 1])) for bars in newest]
        heads = self.forecast_cutoffs(cutoffs, self.horizons)
        median = median_index(self.levels)
        return [GivenForecast(interpolate_steps(head[0], self.horizons, median=median)) for head in heads]

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """See ``BatchForecaster``; horizons between heads are interpolated in variance."""
        prepared = [prepare_series(entry.bars, self.spec) for entry in cutoffs]
        first_row = np.cumsum([0, *(len(series.scale) for series in prepared)])
        rows = np.concatenate([entry.ends + first for entry, first in zip(cutoffs, first_row, strict=False)])
        series = PreparedSeries.joined(prepared)
        heads = scaled_quantiles(self.network, series, rows, self.scaler)
        unit = series.scale[rows, None, None] * np.sqrt(np.array(self.horizons))[:, None]
        bounds = np.cumsum([len(entry.ends) for entry in cutoffs])[:-1]
        own = zip(cutoffs, np.split(heads * unit, bounds), strict=True)
        averaged = np.concatenate([self._averaged(entry, each) for entry, each in own])
        at_heads = np.sort(averaged + self.offsets * unit, axis=-1)
        steps = interpolate_steps(at_heads, self.horizons, median=median_index(self.levels))
        return np.split(steps[:, [horizon - self.horizons[0] for horizon in horizons]], bounds)

    def _averaged(self, entry: Cutoffs, heads: FloatArray) -> FloatArray:
        return with_long_run(
            heads,
            entry.bars.adj_close,
            entry.ends,
            horizons=self.horizons,
            levels=self.levels,
            shares=self.long_run_shares,
        )


def scaled_quantiles(network: Any, series: PreparedSeries, rows: IntArray, scaler: Scaler) -> FloatArray:
    """A network's quantiles at cutoffs of a series, in scaled units, shape ``(n, n_horizons, n_levels)``."""
    blocks = np.split(rows, range(BATCH, len(rows), BATCH))
    return np.concatenate([_answer(network, *_inputs(series, block, scaler)) for block in blocks])


def answer_one(network: Any, window: Float32Array, context: Float32Array) -> FloatArray:
    """A network's quantiles for one scaled input, shape ``(n_horizons, n_levels)``."""
    quantiles: FloatArray = _answer(network, window[None], context[None])[0]
    return quantiles


def _inputs(series: PreparedSeries, rows: IntArray, scaler: Scaler) -> tuple[Float32Array, Float32Array]:
    windows = series.windows(rows)
    return scaler.apply(windows.window, windows.context)


def _answer(network: Any, window: Float32Array, context: Float32Array) -> FloatArray:
    # Always in batches of one shape: each new shape costs TensorFlow seconds to trace, and may change last bits.
    missing = BATCH - len(window)
    inputs = {
        "window": np.concatenate([window, np.repeat(window[-1:], missing, axis=0)]),
        "context": np.concatenate([context, np.repeat(context[-1:], missing, axis=0)]),
    }
    quantiles: FloatArray = network.predict_on_batch(inputs)[: len(window)].astype(np.float64)
    return quantiles
