"""Networks on Keras itself, for images that serve ``network.keras``."""

import tempfile
from pathlib import Path
from typing import Any

import keras
import numpy as np

from data_pipeline.processing.bar_arrays import FloatArray
from data_pipeline.processing.scaler import Float32Array
from ml_lifecycle.export.errors import BundleRefusedError
from ml_lifecycle.export.folder import NETWORK_ONNX
from ml_lifecycle.export.manifest import Manifest
from ml_lifecycle.export.onnx_engine import OnnxEngine
from ml_lifecycle.models.weights import network_sha256

# What Keras raises for a configuration or weights that do not fit together.
_KERAS_ERRORS = (ValueError, TypeError, KeyError, AttributeError, IndexError, RuntimeError, NotImplementedError)


class KerasEngine:
    """``network.keras`` in the place of its ONNX twin; further members of an average stay on ONNX Runtime."""

    def __init__(self, archive: bytes, twin: OnnxEngine, manifest: Manifest) -> None:
        """Load ``network.keras``, whose members, layers and arrays were looked through before.

        Parameters
        ----------
        twin : the ONNX graphs of the same bundle.

        Raises
        ------
        BundleRefusedError : the layers, weights or inputs are not what the manifest says.
        """
        self._weight = manifest.member_weights[NETWORK_ONNX]
        self._others = twin.without(NETWORK_ONNX)
        self._network = _load(archive)
        _require_interface(self._network, manifest)
        if network_sha256(self._network) != manifest.weights_sha256:
            raise BundleRefusedError("network.keras holds other weights than the manifest says")

    def quantiles(self, window: Float32Array, context: Float32Array) -> FloatArray:
        """As ``Engine.quantiles``."""
        # `predict` sets up a data pipeline per call, 70 ms; this runs the compiled graph.
        output = self._network.predict_on_batch({"window": window, "context": context})
        return self._weight * np.asarray(output, dtype=np.float64) + self._others.quantiles(window, context)


def _load(archive: bytes) -> Any:
    # From a private copy: Keras opens paths only, and the bundle's own file could change after it was checked.
    with tempfile.TemporaryDirectory(prefix="closecast-") as folder:
        path = Path(folder) / "network.keras"
        path.write_bytes(archive)
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except _KERAS_ERRORS as error:
            raise BundleRefusedError(f"network.keras cannot be loaded: {str(error)[:300]}") from error


def _require_interface(network: Any, manifest: Manifest) -> None:
    found = {tensor.name: tuple(tensor.shape[1:]) for tensor in network.inputs}
    found["quantiles"] = tuple(network.output_shape[1:])
    if found != manifest.network_interface():
        raise BundleRefusedError(f"network.keras has inputs and outputs {found}, not {manifest.network_interface()}")
