"""Whether the ONNX twin answers as Keras does, on made-up and on real windows."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from data_pipeline.processing.bar_arrays import BarArrays, FloatArray
from data_pipeline.processing.lstm_preprocessor import InputSpec, known_values, latest_window, prepare_series
from data_pipeline.processing.scaler import CLIP, Float32Array, Scaler
from ml_lifecycle.export.engine import Engine
from ml_lifecycle.export.errors import ExportError

PARITY_TOLERANCE = 1e-5  # in scaled units
RANDOM_WINDOWS = 256
_SEED = 20_260


def parity_inputs(bars: BarArrays, spec: InputSpec, scaler: Scaler) -> dict[str, Float32Array]:
    """Windows and contexts to compare the engines on: random ones up to the clip, then every real one that fits.

    Parameters
    ----------
    bars : ``spec.history_needed`` bars or more; windows are cut at every row where the columns are known.

    Returns
    -------
    ``window (n, lookback, n_columns)`` and ``context (n, n_context)``, scaled.
    """
    window, context = _real_inputs(bars, spec)
    scaled_window, scaled_context = scaler.apply(window, context)
    random = np.random.default_rng(_SEED)
    spread = random.uniform(0.1, CLIP, size=(RANDOM_WINDOWS, 1, 1))
    random_window = np.clip(spread * random.standard_normal((RANDOM_WINDOWS, *window.shape[1:])), -CLIP, CLIP)
    random_context = np.clip(random.standard_normal((RANDOM_WINDOWS, context.shape[1])), -CLIP, CLIP)
    return {
        "window": np.concatenate([random_window.astype(np.float32), scaled_window]),
        "context": np.concatenate([random_context.astype(np.float32), scaled_context]),
    }


def _real_inputs(bars: BarArrays, spec: InputSpec) -> tuple[FloatArray, FloatArray]:
    """Unscaled windows at every row; the context and scale are the newest bar's, the only one that has them."""
    series = prepare_series(bars.last(spec.history_needed), spec)
    _, context, scale = latest_window(bars, spec)
    known: NDArray[np.bool_] = np.all(known_values(series.columns, spec.columns, spec.find), axis=1)
    ends = np.arange(spec.lookback - 1, len(known))
    whole = ends[[known[end + 1 - spec.lookback : end + 1].all() for end in ends]]
    windows = replace(series, scale=np.full(len(known), scale)).windows(whole)
    return windows.window, np.tile(context, (len(whole), 1))


def require_parity(engine: Engine, inputs: dict[str, Float32Array], keras_quantiles: FloatArray) -> float:
    """Largest difference between the engines, in scaled units.

    Raises
    ------
    ExportError : above ``PARITY_TOLERANCE``.
    """
    distance = float(np.max(np.abs(engine.quantiles(inputs["window"], inputs["context"]) - keras_quantiles)))
    if not distance <= PARITY_TOLERANCE:
        raise ExportError(f"the ONNX graph answers {distance:.1e} away from Keras, {PARITY_TOLERANCE:.0e} at most")
    return distance
