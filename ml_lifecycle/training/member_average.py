"""A trained Keras network averaged with further members, as a bundle will average them."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.scaler import Float32Array
from ml_lifecycle.export.onnx_engine import open_graph, run_graph
from ml_lifecycle.training.checkpoint import TREES, Checkpoint
from ml_lifecycle.training.config import TrainingConfig


@dataclass(frozen=True)
class MemberAverage:
    """Asked like a Keras network, as far as forecasting asks one.

    Attributes
    ----------
    network : the Keras network.
    graph : of ``export.scale_trees_graph``; ``interface`` as ``onnx_engine.open_graph`` wants it.
    tree_share : weight of the trees' quantiles in the average.
    """

    network: Any
    graph: bytes
    interface: Mapping[str, tuple[int, ...]]
    tree_share: float

    @cached_property
    def trees(self) -> Any:
        """An ONNX Runtime session."""
        return open_graph(self.graph, TREES, self.interface)

    def __getstate__(self) -> dict[str, Any]:
        """An average travels to another process as its graph: a session cannot."""
        return {name: value for name, value in vars(self).items() if name != "trees"}

    def predict_on_batch(self, inputs: Mapping[str, Float32Array]) -> FloatArray:
        """Quantiles in scaled units, shape ``(batch, n_horizons, n_levels)``."""
        own = np.asarray(self.network.predict_on_batch(inputs), dtype=np.float64)
        return (1.0 - self.tree_share) * own + self.tree_share * run_graph(self.trees, inputs)


def averaged(network: Any, graph: bytes | None, config: TrainingConfig) -> Any:
    """The network, or its average with the trees where there are any."""
    if graph is None:
        return network
    spec = config.input_spec
    interface = {
        "window": (spec.lookback, len(spec.columns)),
        "context": (len(spec.context_columns),),
        "quantiles": (len(config.horizons), len(config.levels)),
    }
    return MemberAverage(network, graph, interface, config.tree_share)


def load_average(checkpoint: Checkpoint) -> Any:
    """What a finished checkpoint forecasts with, before any calibration; TensorFlow is imported."""
    import keras

    network = keras.models.load_model(checkpoint.network_path, compile=False, safe_mode=True)
    return averaged(network, checkpoint.trees(), checkpoint.content.config)
