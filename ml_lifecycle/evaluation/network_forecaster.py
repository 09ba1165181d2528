"""A trained Keras network as a forecaster, before it is exported: one pass over many cutoffs."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputSpec, PreparedSeries, prepare_series
from data_pipeline.processing.scaler import Scaler
from ml_lifecycle.evaluation.forecasters import Cutoffs, GivenForecast
from ml_lifecycle.export.interpolation import interpolate_steps, median_index

BATCH = 2048


class NetworkForecaster:
    """Quantiles of log returns at a network's heads, statically calibrated.

    Parameters
    ----------
    network : inputs ``window`` and ``context``, output ``(batch, n_horizons, n_levels)`` in scaled units.
    offsets : shape ``(n_horizons, n_levels)``, scaled units.
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
    ) -> None:
        self.network, self.spec, self.scaler = network, spec, scaler
        self.horizons, self.levels, self.offsets = horizons, levels, offsets
        self.history_needed = self.history_used = spec.history_needed

    def forecast_many(self, many_bars: Sequence[BarArrays]) -> list[GivenForecast]:
        """See ``Forecaster``."""
        newest = [bars.last(self.history_needed) for bars in many_bars]
        cutoffs = [Cutoffs(bars, np.array([len(bars) - 1])) for bars in newest]
        heads = self.forecast_cutoffs(cutoffs, self.horizons)
        median = median_index(self.levels)
        return [GivenForecast(interpolate_steps(head[0], self.horizons, median=median)) for head in heads]

    def forecast_cutoffs(self, cutoffs: Sequence[Cutoffs], horizons: Sequence[int]) -> list[FloatArray]:
        """See ``BatchForecaster``; horizons must be heads of the network."""
        prepared = [prepare_series(entry.bars, self.spec) for entry in cutoffs]
        first_row = np.cumsum([0, *(len(series.scale) for series in prepared)])
        rows = np.concatenate([entry.ends + first for entry, first in zip(cutoffs, first_row, strict=False)])
        series = PreparedSeries.joined(prepared)
        heads = self._heads(series, rows)
        places = [self.horizons.index(horizon) for horizon in horizons]
        in_scale = np.sort(heads + self.offsets, axis=-1)[:, places]
        quantiles = in_scale * series.scale[rows, None, None] * np.sqrt(np.array(horizons))[:, None]
        return np.split(quantiles, np.cumsum([len(entry.ends) for entry in cutoffs])[:-1])

    def _heads(self, series: PreparedSeries, rows: Any) -> FloatArray:
        answers = []
        for block in np.split(rows, range(BATCH, len(rows), BATCH)):
            windows = series.windows(block)
            window, context = self.scaler.apply(windows.window, windows.context)
            answers.append(self.network.predict_on_batch({"window": window, "context": context}))
        return np.concatenate(answers).astype(np.float64)
